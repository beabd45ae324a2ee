"""One file from afar to disk: taken up where it broke off, checked, then named.

name.part ── append ──► complete ── size, digest ──► name
               ▲  └ connection lost: tried again from there
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from worker.files.content import digest_of_file, sync
from worker.load_errors import ErrorClass
from worker.sources.errors import SourceError
from worker.sources.progress import Progress

log = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 20
_ATTEMPTS = 5
_FIRST_DELAY_S = 0.2
_SHA256_DIGITS = 64


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, none at the end."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A file's bytes from some offset.

    Attributes:
        body: the bytes.
        offset: where they begin; 0 where the other side cannot begin elsewhere.
        digest: the file's digest as stated beside the bytes; see RemoteFile.

    """

    body: Readable
    offset: int
    digest: str = ""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as its source describes it.

    Attributes:
        name: relative path, with forward slashes.
        size: bytes, or None where the source does not say.
        digest: hex sha256, or hex sha1 of a git blob, or "" where the source does not say.
        open: opens its bytes at an offset; raises SourceError.

    """

    name: str
    size: int | None
    digest: str
    open: Callable[[int], AbstractContextManager[Stream]]


def transfer(file: RemoteFile, directory: Path, expected: str, progress: Progress) -> None:
    """Bring a file into a directory, unless it is there.

    Args:
        file: what to bring.
        directory: where to.
        expected: hex sha256 that the registry names, or "".
        progress: counts its bytes, those that are there already included.

    Raises:
        SourceError: it cannot be had, or is not what was stated.

    """
    target = directory / file.name
    if target.exists():
        progress.add(target.stat().st_size)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    stated = _complete(file, part, progress)
    try:
        _check(file, part, {expected.lower(), file.digest, stated} - {""})
    except SourceError:
        progress.add(-part.stat().st_size)
        part.unlink()
        raise
    sync(part)
    part.rename(target)


def _complete(file: RemoteFile, part: Path, progress: Progress) -> str:
    """Append to `part` until it is whole; return the digest stated beside the bytes."""
    progress.add(part.stat().st_size if part.exists() else 0)
    for attempt in range(_ATTEMPTS):
        try:
            return _append(file, part, progress)
        except SourceError as error:
            if error.error_class is not ErrorClass.NETWORK or attempt == _ATTEMPTS - 1:
                raise
            log.info("trying again: %s", error)
        time.sleep(_FIRST_DELAY_S * 2**attempt)
    raise AssertionError


def _append(file: RemoteFile, part: Path, progress: Progress) -> str:
    have = part.stat().st_size if part.exists() else 0
    if have and have == file.size:
        return ""  # Only its name was missing, and servers refuse a range behind the end.
    offset = have if file.size is not None and have < file.size else 0
    with file.open(offset) as stream, part.open("r+b" if have else "wb") as out:
        progress.add(stream.offset - have)
        out.truncate(stream.offset)
        out.seek(stream.offset)
        while chunk := _read(file, stream.body):
            out.write(chunk)
            progress.add(len(chunk))
        size = out.tell()
    if file.size is not None and size < file.size:
        raise SourceError(f"{file.name} broke off at {size} bytes", ErrorClass.NETWORK)
    return stream.digest


def _read(file: RemoteFile, body: Readable) -> bytes:
    try:
        return body.read(_CHUNK_BYTES)
    # Every library has failures of its own for a connection that breaks.
    except Exception as error:
        raise SourceError(f"{file.name} broke off: {error}", ErrorClass.NETWORK) from error


def _check(file: RemoteFile, path: Path, digests: set[str]) -> None:
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        problem = f"{file.name} has {size} bytes, and {file.size} were stated"
        raise SourceError(problem, ErrorClass.CHECKPOINT)
    for stated in digests:
        actual = digest_of_file(path) if len(stated) == _SHA256_DIGITS else _git_sha1(path)
        if actual != stated:
            problem = f"{file.name} has digest {actual}, and {stated} was stated"
            raise SourceError(problem, ErrorClass.CHECKPOINT)


def _git_sha1(path: Path) -> str:
    """Digest a file as git names a blob; only small files are stated so."""
    content = path.read_bytes()
    blob = b"blob %d\0" % len(content) + content
    return hashlib.sha1(blob, usedforsecurity=False).hexdigest()
