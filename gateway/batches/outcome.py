"""How a batch ends: changes of its record."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from servicekit.errors import SieError, code_of
from sie.batch.v1.batch_pb2 import BatchStatus
from sie.batch.v1.record_pb2 import BatchRecord

ENDED = frozenset(
    {
        BatchStatus.BATCH_STATUS_FAILED,
        BatchStatus.BATCH_STATUS_COMPLETED,
        BatchStatus.BATCH_STATUS_EXPIRED,
        BatchStatus.BATCH_STATUS_CANCELLED,
    }
)


class Outcome(NamedTuple):
    """What is wrong with a batch.

    Args:
        error: what.
        line: of its input, from 1; None: not with a line.
    """

    error: SieError
    line: int | None = None


def output_name(batch_id: str, kind: str) -> str:
    """Id of a file that a batch writes: the same for each of its runners."""
    return f"{batch_id.replace('batch_', 'file-')}-{kind}"


def fail(outcomes: Sequence[Outcome], now: int) -> Callable[[BatchRecord], None]:
    """The change by which a batch fails."""

    def failed(record: BatchRecord) -> None:
        record.batch.status = BatchStatus.BATCH_STATUS_FAILED
        record.batch.failed_at = now
        record.batch.errors.object = "list"
        for error, line in outcomes:
            record.batch.errors.data.add(
                code=code_of(error.reason),
                message=error.message,
                param=error.metadata.get("field", ""),
                line=line,
            )

    return failed


def finish(now: int) -> Callable[[BatchRecord], None]:
    """The change by which a batch ends whose files are there."""

    def finished(record: BatchRecord) -> None:
        batch = record.batch
        batch.output_file_id = output_name(batch.id, "output") if record.output else ""
        batch.error_file_id = output_name(batch.id, "errors") if record.errors else ""
        if batch.status == BatchStatus.BATCH_STATUS_CANCELLING:
            batch.status = BatchStatus.BATCH_STATUS_CANCELLED
            batch.cancelled_at = now
        elif batch.HasField("expired_at"):
            batch.status = BatchStatus.BATCH_STATUS_EXPIRED
        else:
            batch.status = BatchStatus.BATCH_STATUS_COMPLETED
            batch.completed_at = now

    return finished
