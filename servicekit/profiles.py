"""What a model's profiles come to once each is merged over what it extends.

    long ── extends ──► precise ── extends ──► default        fields of the left win

Lists replace each other as a whole; options are merged key by key. Every profile of a model
shares one compiled graph, so what the graph depends on must come to the same in all of them.
"""

from collections.abc import Mapping
from typing import NamedTuple

from servicekit.defaults import DEFAULT_PROFILE
from sie.registry.v1.model_pb2 import Model, Profile

# Profiles along one chain of `extends`, the first included.
MAX_DEPTH = 8

# What the graph, or the batcher that all profiles share, depends on.
_SHARED = ("precision", "pooling", "normalize", "max_batch_tokens")
_REPLACED = ("output_types",)


class Conflict(NamedTuple):
    """A profile that wants of `field` something else than the default profile."""

    profile: str
    field: str


def resolve(model: Model, name: str = "") -> Profile:
    """A profile with what it extends merged in; `""` is the default one.

    One that the model does not have says nothing.

    Raises:
        ValueError: its chain names a profile that is not there, comes back to itself, or is
            longer than `MAX_DEPTH`.
    """
    resolved = Profile()
    for profile in reversed(_chain(model.profiles, name or DEFAULT_PROFILE)):
        for field in _REPLACED:
            if getattr(profile, field):
                resolved.ClearField(field)
        resolved.MergeFrom(profile)
    resolved.ClearField("extends")
    return resolved


def conflict(model: Model) -> Conflict | None:
    """The first profile, by name, that cannot share a graph with the default one."""
    default = resolve(model)
    for name in sorted(model.profiles):
        profile = resolve(model, name)
        for field in _SHARED:
            if _is_set(profile, field) and not _same(profile, default, field):
                return Conflict(name, field)
    return None


def _chain(profiles: Mapping[str, Profile], name: str) -> list[Profile]:
    chain: list[Profile] = []
    seen: list[str] = []
    while name:
        if name in seen:
            raise ValueError(f"extends itself: {' -> '.join([*seen, name])}")
        if len(seen) == MAX_DEPTH:
            raise ValueError(f"extends a chain of more than {MAX_DEPTH} profiles")
        if name not in profiles:
            if seen:
                raise ValueError(f"must name another profile of the model, and {name!r} is none")
            return []
        seen.append(name)
        chain.append(profiles[name])
        name = profiles[name].extends
    return chain


def _is_set(profile: Profile, field: str) -> bool:
    if field == "normalize":
        return profile.HasField(field)
    return bool(getattr(profile, field))


def _same(one: Profile, other: Profile, field: str) -> bool:
    equal: bool = getattr(one, field) == getattr(other, field)
    return equal and _is_set(other, field)
