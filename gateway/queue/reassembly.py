"""Large results, put together from their pieces: pure, and bounded in memory."""

from dataclasses import dataclass, field

from servicekit.errors import SieError
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.work.v1.work_result_pb2 import ResultPart

# Of one request, at any time, of results that are not whole.
MAX_BYTES = 256 * 1024 * 1024


@dataclass(slots=True)
class _Reply:
    count: int
    pieces: dict[int, bytes] = field(default_factory=dict)


class Reassembly:
    """Pieces of results, by the reply that they are of.

    Args:
        max_bytes: what all pieces together may take.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._replies: dict[str, _Reply] = {}
        self._given_up: set[str] = set()

    def __contains__(self, reply_id: str) -> bool:
        """Whether pieces of a reply have come, and not all of them."""
        return reply_id in self._replies or reply_id in self._given_up

    def count(self, reply_id: str) -> int:
        """How many pieces of a reply wait for the rest of it."""
        reply = self._replies.get(reply_id)
        return len(reply.pieces) if reply else 0

    def give_up(self, reply_id: str) -> None:
        """Forgets the pieces of a reply, and those that still come."""
        self._given_up.add(reply_id)
        self._bytes -= sum(map(len, self._replies.pop(reply_id).pieces.values()))

    def add(self, part: ResultPart) -> bytes | None:
        """Takes a piece in; returns the serialised WorkResult with the last of them.

        What is no piece of the reply that it names is not taken.

        Raises:
            SieError: RESULT_TOO_LARGE.
        """
        if part.reply_id in self._given_up or part.number >= part.count:
            return None
        reply = self._replies.setdefault(part.reply_id, _Reply(part.count))
        if part.count != reply.count:
            return None
        if part.number not in reply.pieces:
            reply.pieces[part.number] = part.data
            self._bytes += len(part.data)
        if self._bytes > self._max_bytes:
            raise SieError(
                ErrorReason.ERROR_REASON_RESULT_TOO_LARGE,
                f"the results of this request take more than {self._max_bytes} bytes",
                limit_bytes=self._max_bytes,
            )
        if len(reply.pieces) < reply.count:
            return None
        del self._replies[part.reply_id]
        whole = b"".join(reply.pieces[number] for number in range(reply.count))
        self._bytes -= len(whole)
        return whole
