"""The lines of a request's body, as they come."""

import asyncio
import contextlib
import zlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from typing import NamedTuple

from gateway.http_body import GZIP, Receive, unsupported_encoding
from servicekit.errors import SieError, invalid
from sie.errors.v1.error_reason_pb2 import ErrorReason

# Of what a compressed block becomes, at a time.
_INFLATED_BYTES = 64 * 1024
# A connection on which nothing comes for so long is taken for dead.
_SILENCE_S = 600.0


class Line(NamedTuple):
    """A line that is not empty.

    Args:
        number: from 1.
        content: without its end; None: it is longer than lines may be.
    """

    number: int
    content: bytes | None


class BodyBlocks:
    """Reads a body ahead of whoever takes its blocks, by a bounded number of bytes.

    A client that sends all of a body before it reads any of the reply is served so, as long as
    the body is within that bound; one that does both at a time may send without end.

    Args:
        receive: the ASGI channel.
        most_ahead: bytes.
        gone: called when the client disconnects.
    """

    def __init__(self, receive: Receive, most_ahead: int, gone: Callable[[], None]) -> None:
        self._receive = receive
        self._most_ahead = most_ahead
        self._gone = gone
        # An empty block ends the body.
        self._blocks: deque[bytes] = deque()
        self._ahead = 0
        self._changed = asyncio.Event()

    async def follow(self) -> None:
        """Reads until the client disconnects, which it may do long after the body's end."""
        more = True
        while (event := await self._receive())["type"] == "http.request":
            if not more:
                continue
            more = event.get("more_body", False)
            if block := event.get("body", b""):
                self._put(block)
            if not more:
                self._put(b"")
            while self._ahead > self._most_ahead:
                await self._wait()
        self._gone()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            while not self._blocks:
                await self._wait()
            block = self._blocks.popleft()
            if not block:
                return
            self._ahead -= len(block)
            self._changed.set()
            yield block

    def _put(self, block: bytes) -> None:
        self._blocks.append(block)
        self._ahead += len(block)
        self._changed.set()

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()


@contextlib.asynccontextmanager
async def body_blocks(
    receive: Receive, most_ahead: int, gone: Callable[[], None]
) -> AsyncGenerator[BodyBlocks]:
    """The blocks of a body, read from within this context; see BodyBlocks."""
    blocks = BodyBlocks(receive, most_ahead, gone)
    follower = asyncio.create_task(blocks.follow())
    try:
        yield blocks
    finally:
        follower.cancel()


def inflater_of(metadata: Mapping[str, str]) -> Callable[[bytes], Iterator[bytes]]:
    """What makes blocks of a body's content of those that came.

    Raises:
        SieError: UNSUPPORTED_MEDIA_TYPE.
    """
    encoding = metadata.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        return lambda block: iter((block,))
    if encoding != "gzip":
        raise unsupported_encoding(metadata["content-encoding"])
    inflater = zlib.decompressobj(GZIP)

    def inflate(block: bytes) -> Iterator[bytes]:
        while block:
            try:
                yield inflater.decompress(block, _INFLATED_BYTES)
            except zlib.error:
                raise invalid("body", "not gzip") from None
            block = inflater.unconsumed_tail

    return inflate


async def lines(
    blocks: AsyncIterator[bytes],
    inflate: Callable[[bytes], Iterator[bytes]],
    most_bytes: int,
) -> AsyncIterator[Line]:
    """The lines of a body, of which none is held that is longer than `most_bytes`.

    Raises:
        SieError: the body is not gzip, or nothing came for ten minutes.
    """
    splitter = _Splitter(most_bytes)
    while True:
        try:
            async with asyncio.timeout(_SILENCE_S):
                block = await anext(blocks, b"")
        except TimeoutError:
            raise SieError(
                ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED,
                f"no line within {_SILENCE_S:.0f} s",
                timeout_ms=round(_SILENCE_S * 1000),
            ) from None
        if not block:
            break
        for part in inflate(block):
            for line in splitter.add(part):
                yield line
    for line in splitter.add(b"\n"):
        yield line


class _Splitter:
    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._begun: list[bytes] = []
        self._size = 0
        self._number = 0

    def add(self, block: bytes) -> Iterator[Line]:
        first, *rest = block.split(b"\n")
        self._begin(first)
        for piece in rest:
            self._number += 1
            content = None if self._size > self._most_bytes else b"".join(self._begun).strip()
            self._begun, self._size = [], 0
            if content is None or content:
                yield Line(self._number, content)
            self._begin(piece)

    def _begin(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._most_bytes:
            self._begun = []
        elif piece:
            self._begun.append(piece)
