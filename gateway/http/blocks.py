"""A request's body as it comes, for those who answer before its end."""

import asyncio
import contextlib
import zlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

from gateway.http.body import GZIP, Receive, is_gzip
from servicekit.errors import SieError, invalid
from sie.errors.v1.error_reason_pb2 import ErrorReason

# Of what a compressed block becomes, at a time.
_INFLATED_BYTES = 64 * 1024
# A connection on which nothing comes for so long is taken for dead.
_SILENCE_S = 600.0


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


async def inflated(
    blocks: AsyncIterator[bytes], metadata: Mapping[str, str]
) -> AsyncIterator[bytes]:
    """A body's content.

    Raises:
        SieError: it is not gzip, though it says so.
    """
    if not is_gzip(metadata):
        async for block in blocks:
            yield block
        return
    inflater = zlib.decompressobj(GZIP)
    async for block in blocks:
        rest = block
        while rest:
            try:
                yield inflater.decompress(rest, _INFLATED_BYTES)
            except zlib.error:
                raise invalid("body", "not gzip") from None
            rest = inflater.unconsumed_tail


async def unless_silent(blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The blocks.

    Raises:
        SieError: DEADLINE_EXCEEDED, none came for ten minutes.
    """
    while True:
        try:
            async with asyncio.timeout(_SILENCE_S):
                block = await anext(blocks, b"")
        except TimeoutError:
            raise SieError(
                ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED,
                f"nothing was sent for {_SILENCE_S:.0f} s",
                timeout_ms=round(_SILENCE_S * 1000),
            ) from None
        if not block:
            return
        yield block
