"""One request that waits for its results."""

import asyncio
from collections.abc import Sequence
from typing import Any

from gateway.queue.gathering import Gathering
from gateway.queue.reassembly import Reassembly
from gateway.queue.work import Chunk, Path, Work, work_items
from servicekit.errors import SieError
from servicekit.subjects import Lane, Queue
from sie.errors.v1.error_reason_pb2 import ErrorReason


class Pending:
    """A request, from before its publication until its results are whole.

    Args:
        token: its name among the requests of this gateway.
        work: what holds for all of it.
        path: where it waits.
        chunks: its items.
        reply_subject: where its results go.

    Attributes:
        items: WorkItems by their first item.
        done: done when the results are whole, failed when the request is.
        attempt: how often its items were published under new message ids.
        published_at: when that was last, seconds, monotonic.
        unacked: first items of chunks that the broker may not have.
        sent_at: when a copy of those was sent last, seconds, monotonic.
        in_line: its first so many items stand in the queue that its path names, the rest among the
            surplus.
        unroutable_since: since when no stream takes its items, seconds, monotonic; or 0.
        pieces: of results too large for a message.
        payload_keys: of what the payload store keeps of it, complete up to where that failed.
        trace: headers that go on with its trace.
    """

    __slots__ = (
        "attempt",
        "done",
        "in_line",
        "item_count",
        "items",
        "path",
        "payload_keys",
        "pieces",
        "published_at",
        "reply_subject",
        "results",
        "sent_at",
        "token",
        "trace",
        "unacked",
        "unroutable_since",
        "work",
    )

    def __init__(
        self, token: str, work: Work, path: Path, chunks: Sequence[Chunk], reply_subject: str
    ) -> None:
        self.token = token
        self.work = work
        self.path = path
        self.reply_subject = reply_subject
        self.items = work_items(work, chunks, reply_subject)
        self.item_count = sum(chunk.item_count for chunk in chunks)
        self.results = Gathering(chunks[0].first_item, self.item_count)
        self.in_line = self.item_count
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.attempt = 0
        self.published_at = 0.0
        self.unacked: set[int] = set()
        self.sent_at = 0.0
        self.unroutable_since = 0.0
        self.pieces = Reassembly()
        self.payload_keys: list[str] = []
        self.trace: dict[str, str] = {}

    @property
    def lane(self) -> Lane:
        return self.work.lane

    @property
    def model_id(self) -> str:
        return self.work.model_id

    def queue_of(self, first_item: int) -> Queue:
        """Where a chunk stands; one of which a part may stand in line does so as a whole."""
        beyond = first_item - next(iter(self.items)) >= self.in_line
        return Queue.SURPLUS if beyond else self.path.queue

    def add(self, result: Any) -> None:
        """Takes a result in, a packed twin of WorkResult."""
        if self.results.add(result) and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: SieError) -> None:
        """Ends the request with an error, unless it has ended."""
        if not self.done.done():
            self.done.set_exception(error)

    def expire(self, timeout_ms: int) -> None:
        """Ends the request because its deadline, so long after its arrival, has passed."""
        self.fail(
            SieError(
                ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED,
                "the deadline passed before the result was there",
                timeout_ms=timeout_ms,
            )
        )

    def unanswered(self) -> list[Any]:
        """Items of chunks that have not all their results."""
        return [
            item for first, item in self.items.items() if self.results.lacks(first, item.item_count)
        ]
