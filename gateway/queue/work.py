"""What a request is on its way through the queue: the work, its chunks and their messages."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from servicekit.defaults import DEFAULT_TENANT
from servicekit.packed import packed_twin
from servicekit.subjects import Lane, Queue
from servicekit.tracing import NO_SPAN, Span
from sie.work.v1.work_item_pb2 import WorkClass, WorkItem
from sie.work.v1.work_result_pb2 import WorkResult

# The verbs' messages pass through as bytes: they are written by the edge or by a worker.
_VERBS = ("encode", "score", "extract", "tokenize")
PackedWorkItem = packed_twin(WorkItem, opaque=_VERBS)
PackedWorkResult = packed_twin(WorkResult, opaque=_VERBS)

_INTERACTIVE = WorkClass.WORK_CLASS_INTERACTIVE
_BULK = WorkClass.WORK_CLASS_BULK


class Chunk(NamedTuple):
    """A run of a request's items, with the serialised request that holds only them."""

    first_item: int
    item_count: int
    request: bytes


class Path(NamedTuple):
    """What waits in one order."""

    lane: Lane
    model_id: str
    queue: Queue


class Work(NamedTuple):
    """What holds for all chunks of a request.

    Args:
        verb: `encode`, `score`, `extract` or `tokenize`.
        lane: whose workers compute it.
        model_id: the model.
        revision: of the registry, at which the model was looked up.
        request_id: the request's id.
        deadline: seconds since 1970 UTC; nothing is published past it.
        tenant: whose work it is.
        work_class: whether it goes before or behind other work of the lane.
        span: the request in its trace.
    """

    verb: str
    lane: Lane
    model_id: str
    revision: int
    request_id: str
    deadline: float
    tenant: str = DEFAULT_TENANT
    work_class: WorkClass = _INTERACTIVE
    span: Span = NO_SPAN

    @property
    def path(self) -> Path:
        queue = Queue.BULK if self.work_class == _BULK else Queue.INTERACTIVE
        return Path(self.lane, self.model_id, queue)


def work_items(work: Work, chunks: Sequence[Chunk], reply_subject: str) -> dict[int, Any]:
    """The messages of chunks, packed twins of WorkItem, by their first items."""
    return {
        chunk.first_item: PackedWorkItem(
            request_id=work.request_id,
            first_item=chunk.first_item,
            item_count=chunk.item_count,
            model_id=work.model_id,
            registry_revision=work.revision,
            reply_subject=reply_subject,
            deadline_unix_ms=int(work.deadline * 1000),
            work_class=work.work_class,
            tenant=work.tenant,
            **{work.verb: chunk.request},
        )
        for chunk in chunks
    }
