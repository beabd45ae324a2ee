"""Splitting what comes in blocks into lines."""

from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple


class Line(NamedTuple):
    """A line that is not empty.

    Args:
        number: from 1.
        end: where the next line begins. Bytes from the beginning.
        content: without its end; None: it is longer than lines may be.
    """

    number: int
    end: int
    content: bytes | None


class Splitter:
    """Makes lines of blocks, of which it holds none that is longer than `most_bytes`.

    Args:
        most_bytes: of a line.
        number: lines before the first block.
        offset: bytes before the first block.
    """

    def __init__(self, most_bytes: int, number: int = 0, offset: int = 0) -> None:
        self._most_bytes = most_bytes
        self._number = number
        self._end = offset
        self._begun: list[bytes] = []
        self._size = 0

    def add(self, block: bytes) -> Iterator[Line]:
        """The lines that a block ends."""
        first, *rest = block.split(b"\n")
        self._begin(first)
        for piece in rest:
            self._number += 1
            self._end += self._size + 1
            content = None if self._size > self._most_bytes else b"".join(self._begun).strip()
            self._begun, self._size = [], 0
            if content is None or content:
                yield Line(self._number, self._end, content)
            self._begin(piece)

    def finish(self) -> Iterator[Line]:
        """The last line, if the last block did not end it."""
        if self._size:
            yield from self.add(b"\n")

    def _begin(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._most_bytes:
            self._begun = []
        elif piece:
            self._begun.append(piece)


async def lines(blocks: AsyncIterator[bytes], splitter: Splitter) -> AsyncIterator[Line]:
    """The lines of some blocks."""
    async for block in blocks:
        for line in splitter.add(block):
            yield line
    for line in splitter.finish():
        yield line
