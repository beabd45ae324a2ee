"""Reading a batch's whole input before anything of it is computed."""

import asyncio
from collections.abc import Callable
from hashlib import blake2b

from gateway.batches.outcome import Outcome
from gateway.batches.request_line import RequestLine
from gateway.large_bodies import beside_the_loop
from gateway.lines import Line
from servicekit.errors import SieError, invalid
from sie.errors.v1.error_reason_pb2 import ErrorReason

# What is told of an input; more would not help.
_MOST_OUTCOMES = 100
# After so many lines other work of the process has its turn.
_TURN_LINES = 50


class InputCheck:
    """What is wrong with an input.

    Args:
        read: reads a line, or raises SieError.
        most_requests: lines that it may have.
    """

    def __init__(self, read: Callable[[bytes], RequestLine], most_requests: int) -> None:
        self._read = read
        self._most_requests = most_requests
        # Digests: a set of long names would take what the input takes.
        self._seen: set[bytes] = set()
        self._outcomes: list[Outcome] = []
        self.count = 0

    @property
    def is_hopeless(self) -> bool:
        """Whether enough is wrong with it."""
        return len(self._outcomes) >= _MOST_OUTCOMES or self.count > self._most_requests

    async def add(self, line: Line) -> None:
        """Checks a line."""
        self.count += 1
        try:
            await beside_the_loop(len(line.content or b""), self._check, line)
        except SieError as error:
            self._outcomes.append(Outcome(error, line.number))
        if self.count % _TURN_LINES == 0:
            await asyncio.sleep(0)

    def outcomes(self) -> list[Outcome]:
        """What is wrong; empty: the input is in order."""
        if self.count > self._most_requests:
            problem = f"has more than {self._most_requests} requests"
            return [*self._outcomes, Outcome(invalid("input", problem))]
        if not self.count:
            return [Outcome(invalid("input", "has no requests"))]
        return self._outcomes

    def _check(self, line: Line) -> None:
        if line.content is None:
            raise SieError(
                ErrorReason.ERROR_REASON_PAYLOAD_TOO_LARGE,
                "the line is longer than a request may be",
            )
        custom_id = self._read(line.content).custom_id
        name = blake2b(custom_id.encode(errors="surrogatepass"), digest_size=12).digest()
        if name in self._seen:
            raise invalid("custom_id", "is that of an earlier line")
        self._seen.add(name)
