"""What a batch writes outside of the store; nobody sees a part of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
from fsspec.spec import AbstractBufferedFile

from servicekit.errors import SieError, invalid
from servicekit.file_systems import make_parent


async def write_blocks(url: str, blocks: AsyncIterator[bytes]) -> None:
    """Makes the content of a URL, or leaves it as it was.

    Raises:
        SieError: INVALID_INPUT, it cannot be written.
    """
    output = _Output(url)
    # One thread, so that a write which goes on when its caller is cancelled ends before what
    # follows.
    threads = ThreadPoolExecutor(1, thread_name_prefix="batch-output")

    async def do(call: Callable[..., None], *arguments: Any) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(threads, call, *arguments)
        except Exception as error:  # each file system has failures of its own
            raise invalid("output_uri", f"{url}: {type(error).__name__}") from error

    try:
        await do(output.open)
        async for block in blocks:
            await do(output.write, block)
        await do(output.finish)
    except BaseException:
        with contextlib.suppress(SieError):
            await asyncio.shield(do(output.abandon))
        raise
    finally:
        threads.shutdown(wait=False)


class _Output:
    """A file to be. Its methods block.

    Buckets show an object when it is whole; a directory shows a name that is only then given.
    """

    def __init__(self, url: str) -> None:
        self._system, self._path = fsspec.core.url_to_fs(url)
        self._is_local, self._is_s3 = url.startswith("file://"), url.startswith("s3://")
        self._target = f"{self._path}.partial" if self._is_local else self._path
        self._file: Any = None

    def open(self) -> None:
        make_parent(self._system, self._target)
        self._file = self._system.open(self._target, "wb")

    def write(self, block: bytes) -> None:
        self._file.write(block)

    def finish(self) -> None:
        self._file.close()
        if self._is_local:
            Path(self._target).rename(self._path)

    def abandon(self) -> None:
        if isinstance(self._file, AbstractBufferedFile):
            # Else it is completed when it is closed, be it by the garbage collector.
            self._file.closed = True
            # The parts of an upload that is not completed stay there; elsewhere they expire.
            if self._is_s3:
                self._file.discard()
        elif self._file is not None:
            self._file.close()
            Path(self._target).unlink(missing_ok=True)
