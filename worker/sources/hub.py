"""Repositories on the Hugging Face hub, or on whatever speaks its paths.

/api/models/{repo}/revision/{commit}?blobs=true    its files, with sizes and digests
/{repo}/resolve/{commit}/{file}                    a file; large ones by a redirect
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from sie.registry.v1.model_pb2 import HuggingFace
from worker.load_errors import ErrorClass
from worker.sources import web
from worker.sources.errors import SourceError
from worker.sources.transfer import RemoteFile, Stream


@dataclass(frozen=True, slots=True)
class HubSettings:
    """How the hub is reached.

    Attributes:
        endpoint: its address; a mirror's will do.
        token: for repositories that want one; sent to the endpoint's host only.
        offline: use what was fetched before, and nothing else.

    """

    endpoint: str = "https://huggingface.co"
    token: str = ""
    offline: bool = False


def key_of(source: HuggingFace) -> str:
    """Name the snapshot of a commit, whose content never changes."""
    return f"hub--{source.repo.replace('/', '--')}--{source.revision}"


def files_of(source: HuggingFace, settings: HubSettings) -> list[RemoteFile]:
    """List a commit's files; raise SourceError."""
    url = f"{settings.endpoint}/api/models/{quote(source.repo)}/revision/{source.revision}"
    with web.get(f"{url}?blobs=true", token=settings.token) as reply:
        try:
            siblings = json.loads(reply.body.read())["siblings"]
            return [_file(source, settings, entry) for entry in siblings]
        except (ValueError, KeyError, TypeError) as error:
            raise SourceError(f"{url}: no list of files: {error}", ErrorClass.NETWORK) from error


def _file(source: HuggingFace, settings: HubSettings, entry: dict[str, Any]) -> RemoteFile:
    name = str(entry["rfilename"])
    large = entry.get("lfs") or {}
    url = f"{settings.endpoint}/{quote(source.repo)}/resolve/{source.revision}/{quote(name)}"
    return RemoteFile(
        name,
        large.get("size", entry.get("size")),
        large.get("sha256") or entry.get("blobId") or "",
        partial(open_url, url, settings.token),
    )


@contextmanager
def open_url(url: str, token: str, offset: int) -> Iterator[Stream]:
    """Open a file's bytes at an offset; raise SourceError."""
    with web.get(url, token=token, offset=offset) as reply:
        yield Stream(reply.body, offset if reply.status == 206 else 0, reply.digest)
