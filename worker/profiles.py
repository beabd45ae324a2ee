"""What a request's profile says."""

from __future__ import annotations

from sie.registry.v1.model_pb2 import Model, Profile

_DEFAULT = "default"


def profile_of(name: str, model: Model) -> Profile:
    """Return a profile over the one that it extends; "" is the default one."""
    profiles = model.profiles
    asked = profiles[name or _DEFAULT] if (name or _DEFAULT) in profiles else Profile()
    if not asked.extends:
        return asked
    merged = Profile()
    merged.CopyFrom(profiles[asked.extends])
    merged.MergeFrom(asked)
    return merged
