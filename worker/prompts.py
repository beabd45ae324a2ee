"""Profiles, and what they and the checkpoint say about texts."""

from __future__ import annotations

from servicekit.defaults import DEFAULT_PROFILE
from sie.registry.v1.model_pb2 import Model, Profile
from worker.loading import LoadedModel


def profile_of(name: str, model: Model) -> Profile:
    """Return a profile over the one that it extends; an unknown one says nothing."""
    profiles = model.profiles
    named = name or DEFAULT_PROFILE
    asked = profiles[named] if named in profiles else Profile()
    if not asked.extends:
        return asked
    merged = Profile()
    merged.CopyFrom(profiles[asked.extends])
    merged.MergeFrom(asked)
    return merged


def query_prompt(profile: Profile, loaded: LoadedModel) -> str:
    """Return what stands before a query."""
    given = profile.HasField("query_prompt")
    return profile.query_prompt if given else loaded.prompts.get("query", "")


def document_prompt(profile: Profile, loaded: LoadedModel) -> str:
    """Return what stands before a document."""
    given = profile.HasField("document_prompt")
    # E5 and its kin say `passage` for what others call a document.
    said = loaded.prompts.get("document", loaded.prompts.get("passage", ""))
    return profile.document_prompt if given else said
