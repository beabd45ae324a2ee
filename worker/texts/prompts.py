"""What a profile and the checkpoint say about the text before a query or a document."""

from __future__ import annotations

from sie.registry.v1.model_pb2 import Profile
from worker.hosting.loading import LoadedModel


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
