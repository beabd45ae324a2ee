"""Directories under a URL: s3:// and gs:// buckets, file://, and plain web servers.

A web server does not list what it has, so that the files to take from it are those whose
sha256 the registry names. What a bucket holds may change under the same URL: a snapshot is
named by the listing too, and the newest one serves where the bucket cannot be reached.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from worker.files.content import digest_of
from worker.load_errors import ErrorClass
from worker.sources.errors import SourceError
from worker.sources.hub import open_url
from worker.sources.transfer import RemoteFile, Stream

_KEY_DIGITS = 16


def prefix_of(url: str) -> str:
    """Return what the keys of a URL's snapshots begin with."""
    return f"url--{digest_of(url.encode())[:_KEY_DIGITS]}--"


def key_of(url: str, files: list[RemoteFile], versions: Mapping[str, str]) -> str:
    """Name the snapshot of a listing."""
    facts = [[file.name, file.size, versions.get(file.name)] for file in files]
    listing = json.dumps(sorted(facts)).encode()
    return prefix_of(url) + digest_of(listing)[:_KEY_DIGITS]


def files_of(url: str, sha256: Mapping[str, str]) -> tuple[list[RemoteFile], dict[str, str]]:
    """List the files under a URL, and what tells one version of a file from the next.

    Raises:
        SourceError: nothing is there, or it cannot be reached.

    """
    if url.startswith(("http://", "https://")):
        return _named(url.rstrip("/"), sha256), dict(sha256)
    # A tenth of a worker's start, for those who have their models there.
    import fsspec  # noqa: PLC0415

    try:
        system, root = fsspec.core.url_to_fs(url)
        found = system.find(root, detail=True)
    except ImportError as error:
        raise SourceError(f"{url}: {error}", ErrorClass.UNSUPPORTED) from error
    except FileNotFoundError:
        found = {}
    except Exception as error:  # each file system has failures of its own
        refused = isinstance(error, PermissionError)
        told = ErrorClass.GATED if refused else ErrorClass.NETWORK
        raise SourceError(f"{url} cannot be read: {error}", told) from error
    if not found:
        raise SourceError(f"there is nothing under {url}")
    start = len(root.rstrip("/")) + 1
    files = [
        RemoteFile(path[start:], entry.get("size"), "", partial(open_in, system, path))
        for path, entry in found.items()
    ]
    return files, {path[start:]: _version(entry) for path, entry in found.items()}


def _named(url: str, sha256: Mapping[str, str]) -> list[RemoteFile]:
    if not sha256:
        raise SourceError(
            f"{url}: a web server lists no files; name them under sha256", ErrorClass.UNSUPPORTED
        )
    return [RemoteFile(name, None, "", partial(open_url, f"{url}/{name}", "")) for name in sha256]


def _version(entry: Mapping[str, Any]) -> str:
    stated = (entry.get(key) for key in ("ETag", "etag", "md5Hash", "mtime", "created"))
    return str(next((value for value in stated if value), ""))


@contextmanager
def open_in(system: Any, path: str, offset: int) -> Iterator[Stream]:
    """Open a file of a file system at an offset; raise SourceError."""
    try:
        opened = system.open(path, "rb")
    except Exception as error:  # each file system has failures of its own
        raise SourceError(f"{path} cannot be read: {error}", ErrorClass.NETWORK) from error
    with opened as body:
        body.seek(offset)
        yield Stream(body, offset)
