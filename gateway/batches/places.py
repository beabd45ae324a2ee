"""Where batches may read and write outside of the store: below what the operator allows.

A place is a URL that ends in a slash; `{tenant}` in it stands for the caller's:

    file:///srv/batches/    s3://bucket/batches/{tenant}/    gs://bucket/in/
"""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import fsspec

from servicekit.errors import SieError, invalid
from sie.errors.v1.error_reason_pb2 import ErrorReason

_SCHEMES = ("file", "s3", "gs")
_BLOCK_BYTES = 1024 * 1024
_URL = re.compile(rf"(?:{'|'.join(_SCHEMES)})://[^\x00-\x1f?#]+")
_LONGEST = 1024


class Places:
    """The places of a cluster.

    Args:
        allowed: as described above.

    Raises:
        ValueError: one is none, or its file system is not installed.
    """

    def __init__(self, allowed: Sequence[str]) -> None:
        for place in allowed:
            if not _URL.fullmatch(place) or not place.endswith("/"):
                raise ValueError(f"a place of batches must be a URL that ends in /, not {place!r}")
            try:
                fsspec.get_filesystem_class(place.partition("://")[0])
            except ImportError as error:
                raise ValueError(f"place of batches {place}: {error}") from error
        self._allowed = list(allowed)

    def check(self, field: str, url: str, tenant: str) -> None:
        """Raises SieError unless the tenant may use the URL.

        Raises:
            SieError: INVALID_INPUT, it is none; PERMISSION_DENIED.
        """
        if len(url) > _LONGEST or not _URL.fullmatch(url):
            raise invalid(field, "must be a URL: s3://, gs:// or file://")
        if not any(_within(url, _place_of(place, tenant)) for place in self._allowed):
            raise SieError(
                ErrorReason.ERROR_REASON_PERMISSION_DENIED,
                f"{field}: batches may not use that place; SIE_BATCH_PLACES lists those they may",
            )


async def read_blocks(url: str) -> AsyncIterator[bytes]:
    """The content of a URL.

    Raises:
        SieError: INVALID_INPUT, it cannot be read.
    """
    file = await _do(url, _opened, url)
    try:
        while block := await _do(url, file.read, _BLOCK_BYTES):
            yield block
    finally:
        await asyncio.to_thread(file.close)


def _opened(url: str) -> Any:
    system, path = fsspec.core.url_to_fs(url)
    return system.open(path, "rb")


async def _do(url: str, call: Any, *arguments: Any) -> Any:
    try:
        return await asyncio.to_thread(call, *arguments)
    except Exception as error:  # each file system has failures of its own
        raise invalid("input_uri", f"{url}: {type(error).__name__}") from error


def _place_of(place: str, tenant: str) -> str:
    return place.replace("{tenant}", quote(tenant, safe="").replace(".", "%2E"))


def _within(url: str, place: str) -> bool:
    if not url.startswith(place) or any(part in ("", ".", "..") for part in _parts(url, place)):
        return False
    if not url.startswith("file://"):
        return True
    # A link inside of the place may lead out of it.
    return Path(_path(url)).resolve().is_relative_to(Path(_path(place)).resolve())


def _parts(url: str, place: str) -> list[str]:
    return url.removeprefix(place).removesuffix("/").split("/")


def _path(url: str) -> str:
    return url.removeprefix("file://")
