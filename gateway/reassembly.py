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

    def __contains__(self, reply_id: str) -> bool:
        """Whether pieces of a reply are here, and not all of them."""
        return reply_id in self._replies

    def add(self, part: ResultPart) -> bytes | None:
        """Takes a piece in; returns the serialised WorkResult with the last of them.

        Raises:
            SieError: RESULT_TOO_LARGE.
        """
        reply = self._replies.setdefault(part.reply_id, _Reply(part.count))
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
