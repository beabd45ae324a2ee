"""Digests of large files, remembered so that an unchanged file is not read again.

SHA-256 throughout: it is what registries and hubs state, so one reading serves every check.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any


class ContentDigests:
    """Digests by path, valid while the file's size and modification time stay the same."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def of(self, path: Path) -> str:
        """Return the SHA-256 digest of a file, in hex; raise OSError if it cannot be read."""
        record = self._record(path)
        state = _state(path)
        with suppress(OSError, ValueError, KeyError, TypeError):
            known = json.loads(record.read_bytes())
            if known["state"] == state:
                return str(known["digest"])
        digest = digest_of_file(path)
        # Had the file changed while it was read, `state` would not match it any more.
        self._keep(record, state, digest)
        return digest

    def remember(self, path: Path, digest: str) -> None:
        """Record the digest of a file that the caller has just moved to `path`."""
        self._keep(self._record(path), _state(path), digest)

    def _keep(self, record: Path, state: list[int], digest: str) -> None:
        # What is not kept is computed again.
        with suppress(OSError):
            write_atomically(record, _json({"state": state, "digest": digest}))

    def _record(self, path: Path) -> Path:
        return self._directory / f"{digest_of(str(path.absolute()).encode())}.json"


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digest_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Force a file to disk, so that a rename cannot outlive its content."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file so that a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(name, path)  # noqa: PTH105 - the name is a string already
    except BaseException:
        # On a disk that is full, what is left of each attempt would keep it full.
        with suppress(OSError):
            os.unlink(name)  # noqa: PTH108
        raise


def _state(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
