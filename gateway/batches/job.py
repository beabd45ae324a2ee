"""A batch from its input to its results, in steps of which each can be done again.

validating    fetch the input, read every line of it
in_progress   make the requests; pieces of results and how far the input is done change
together in one commit
finalizing    make the pieces files, and write them where the caller wants them too
"""

import functools
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import NamedTuple

from gateway.auth.principal import Limits, Principal
from gateway.batches.files import PIECE_BYTES, Files
from gateway.batches.hold import Hold
from gateway.batches.input_check import InputCheck
from gateway.batches.outcome import Outcome, fail, finish, output_name
from gateway.batches.output import write_blocks
from gateway.batches.places import read_blocks
from gateway.batches.request_line import RequestLine, read_line
from gateway.batches.result_line import error_line, left_line, result_line
from gateway.job_stream import Job, answers
from gateway.json_calls import JsonCalls
from gateway.large_bodies import beside_the_loop
from gateway.lines import Line, Splitter, lines
from gateway.work_class import WORK_CLASS_HEADER
from servicekit.errors import SieError, spec_of
from sie.batch.v1.batch_pb2 import BatchStatus
from sie.batch.v1.record_pb2 import BatchRecord, FileRecord, Piece
from sie.errors.v1.error_reason_pb2 import ErrorReason

log = logging.getLogger(__name__)

# Lines between two commits at most, and seconds after which what is done is committed anyway.
_PART_LINES = 256
_PART_S = 5.0
_CALL_TIMEOUT_S = 120.0
# Of what may be this request's own fault.
_MOST_ATTEMPTS = 3
_LONGEST_WAIT_S = 30.0

_OWN_FAULT = frozenset(
    {
        ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED,
        ErrorReason.ERROR_REASON_DELIVERY_EXHAUSTED,
        ErrorReason.ERROR_REASON_RESOURCE_EXHAUSTED,
        ErrorReason.ERROR_REASON_PAYLOAD_UNAVAILABLE,
    }
)


class Done(NamedTuple):
    """A line that has its result.

    Args:
        line: which.
        text: the line of the file of results, or of that of errors.
        failed: whether it belongs into that of errors.
        expired: whether it was never computed, since the window has passed.
    """

    line: Line
    text: bytes
    failed: bool = False
    expired: bool = False


class BatchJob:
    """Runs one batch.

    Args:
        hold: its record.
        files: of all tenants.
        calls: where its requests go.
        most_requests: in a batch.
        most_line_bytes: in a line of the input.
        clock: seconds since 1970 UTC.
    """

    def __init__(
        self,
        hold: Hold,
        files: Files,
        calls: JsonCalls,
        *,
        most_requests: int,
        most_line_bytes: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._hold = hold
        self._files = files
        self._calls = calls
        self._most_requests = most_requests
        self._most_line_bytes = most_line_bytes
        self._clock = clock
        self._principal = _principal_of(hold.record)
        self._headers = {**hold.record.headers, WORK_CLASS_HEADER: "bulk"}
        self._in_hand = self._pausing = 0

    @property
    def is_stalled(self) -> bool:
        """Whether none of its requests in hand can be computed at present."""
        return 0 < self._in_hand == self._pausing

    async def run(self) -> None:
        """Takes the batch from wherever it is to its end.

        Raises:
            HoldLostError: another runner has it.
            SieError: it cannot go on now, and may later.
        """
        try:
            if self._status == BatchStatus.BATCH_STATUS_VALIDATING:
                await self._validate()
            if self._status == BatchStatus.BATCH_STATUS_IN_PROGRESS:
                await self._compute()
            if self._status in (
                BatchStatus.BATCH_STATUS_IN_PROGRESS,
                BatchStatus.BATCH_STATUS_FINALIZING,
                BatchStatus.BATCH_STATUS_CANCELLING,
            ):
                await self._finalize()
        except SieError as error:
            if spec_of(error.reason).retryable and not self._has_expired:
                raise
            # Its own requests have their errors: what is left is the input, or where results go.
            await self._hold.commit(fail([Outcome(error)], self._now))

    @property
    def _status(self) -> BatchStatus:
        return self._hold.record.batch.status

    @property
    def _now(self) -> int:
        return int(self._clock())

    @property
    def _has_expired(self) -> bool:
        return self._clock() >= self._hold.record.batch.expires_at

    async def _validate(self) -> None:
        batch = self._hold.record.batch
        if batch.input_uri and not batch.input_file_id:
            await self._fetch(batch.input_uri)
        read = functools.partial(read_line, self._calls, batch.endpoint)
        check = InputCheck(read, self._most_requests)
        async for line in self._lines(await self._input()):
            await check.add(line)
            if self._hold.is_cancelling or check.is_hopeless:
                break
        if self._hold.is_cancelling:
            return
        if outcomes := check.outcomes():
            await self._hold.commit(fail(outcomes, self._now))
            return

        def in_progress(record: BatchRecord) -> None:
            record.batch.request_counts.total = check.count
            if record.batch.status == BatchStatus.BATCH_STATUS_VALIDATING:
                record.batch.status = BatchStatus.BATCH_STATUS_IN_PROGRESS
                record.batch.in_progress_at = self._now

        await self._hold.commit(in_progress)

    async def _fetch(self, uri: str) -> None:
        """Copies the input, so that it is the same for every runner."""
        file = self._files.new(uri.rpartition("/")[2] or "input.jsonl", "batch")
        tenant = self._hold.tenant
        await self._files.gather(tenant, file, read_blocks(uri), self._hold.record.epoch)
        await self._files.keep(tenant, file)

        def fetched(record: BatchRecord) -> None:
            record.batch.input_file_id = file.file.id

        await self._hold.commit(fetched)

    async def _input(self) -> FileRecord:
        file_id = self._hold.record.batch.input_file_id
        return (await self._files.get(self._hold.tenant, file_id)).record

    def _lines(self, file: FileRecord) -> AsyncIterator[Line]:
        """The lines that are not done."""
        record = self._hold.record
        splitter = Splitter(self._most_line_bytes, record.lines_done, record.bytes_done)
        return lines(self._files.content(file, record.bytes_done), splitter)

    async def _compute(self) -> None:
        part: list[Done] = []
        size, since = 0, self._clock()
        jobs = self._jobs(self._lines(await self._input()))
        async with aclosing(answers(jobs, self._principal.in_hand)) as done:
            async for each in done:
                part.append(each)
                size += len(each.text)
                is_due = self._clock() - since > _PART_S
                if len(part) >= _PART_LINES or size >= PIECE_BYTES or is_due:
                    await self._commit(part)
                    part, size, since = [], 0, self._clock()
        if part:
            await self._commit(part)

    async def _jobs(self, read: AsyncIterator[Line]) -> AsyncIterator[Job[Done]]:
        async for line in read:
            if self._hold.is_cancelling:
                return
            yield Job(functools.partial(self._answer, line), in_order=True)

    async def _answer(self, line: Line) -> Done:
        batch = self._hold.record.batch
        request_id = f"{batch.id.replace('batch_', 'batch_req_')}_{line.number}"
        # It was read before, when the input was checked.
        content = line.content or b""
        request = await beside_the_loop(
            len(content), read_line, self._calls, batch.endpoint, content
        )
        self._in_hand += 1
        try:
            body = await self._persist(request, request_id)
        except SieError as error:
            if error.reason == ErrorReason.ERROR_REASON_BATCH_EXPIRED:
                text = left_line(request_id, line.number, request.custom_id, error)
                return Done(line, text, failed=True, expired=True)
            route = request.match.route
            text = error_line(request_id, line.number, request.custom_id, route, error)
            return Done(line, text, failed=True)
        finally:
            self._in_hand -= 1
        return Done(line, result_line(request_id, line.number, request.custom_id, body))

    async def _persist(self, request: RequestLine, request_id: str) -> bytes:
        """Makes a call until it has an answer that stands, or the batch is over.

        Raises:
            SieError: the call failed; BATCH_EXPIRED, it was not made in time.
        """
        attempts = 0
        while not self._has_expired:
            try:
                return await self._calls.answer(
                    request.match,
                    request.body,
                    request.size,
                    self._headers,
                    request_id,
                    principal=self._principal,
                    timeout_s=_CALL_TIMEOUT_S,
                )
            except SieError as error:
                attempts += error.reason in _OWN_FAULT
                if not spec_of(error.reason).retryable or attempts >= _MOST_ATTEMPTS:
                    raise
                await self._pause(error)
                if self._hold.is_cancelling:
                    raise
        raise _expired(self._hold.record.batch.id)

    async def _pause(self, error: SieError) -> None:
        seconds = min(error.retry_after_s or 1.0, _LONGEST_WAIT_S)
        self._pausing += 1
        try:
            await self._hold.pause(seconds * random.uniform(1.0, 1.25))  # noqa: S311 - no secret
        finally:
            self._pausing -= 1

    async def _commit(self, part: list[Done]) -> None:
        """Keeps the results of a run of lines, together with how far the input is done."""
        output = await self._put("output", [each.text for each in part if not each.failed])
        errors = await self._put("errors", [each.text for each in part if each.failed])
        failed = sum(each.failed for each in part)

        def done(record: BatchRecord) -> None:
            record.lines_done, record.bytes_done = part[-1].line.number, part[-1].line.end
            record.batch.request_counts.completed += len(part) - failed
            record.batch.request_counts.failed += failed
            record.output.extend(output)
            record.errors.extend(errors)
            if any(each.expired for each in part):
                record.batch.expired_at = self._now

        await self._hold.commit(done)

    async def _put(self, kind: str, texts: list[bytes]) -> list[Piece]:
        """Keeps what follows in one of the files: a piece, or nothing."""
        record = self._hold.record
        if not texts:
            return []
        pieces = record.output if kind == "output" else record.errors
        file_id = output_name(record.batch.id, kind)
        return [await self._files.put_piece(file_id, pieces, record.epoch, b"".join(texts))]

    async def _finalize(self) -> None:
        def finalizing(record: BatchRecord) -> None:
            if record.batch.status == BatchStatus.BATCH_STATUS_IN_PROGRESS:
                record.batch.status = BatchStatus.BATCH_STATUS_FINALIZING
                record.batch.finalizing_at = self._now

        await self._hold.commit(finalizing)
        record = self._hold.record
        for kind, pieces in (("output", record.output), ("errors", record.errors)):
            if not pieces:
                continue
            name = f"{record.batch.id}_{kind}.jsonl"
            file = self._files.new(name, "batch_output", output_name(record.batch.id, kind))
            file.pieces.extend(pieces)
            file.file.bytes = sum(piece.size_bytes for piece in pieces)
            await self._files.keep(self._hold.tenant, file)
            if record.batch.output_uri:
                target = f"{record.batch.output_uri.rstrip('/')}/{name}"
                await write_blocks(target, self._files.content(file))
        await self._hold.commit(finish(self._now))


def _principal_of(record: BatchRecord) -> Principal:
    owner = record.owner
    return Principal(
        tenant=owner.tenant,
        pools=frozenset(owner.pools),
        models=tuple(owner.models),
        # A batch waits for its turn by its class, not by the bound of calls in flight.
        limits=Limits(tokens_per_minute=owner.tokens_per_minute),
    )


def _expired(batch_id: str) -> SieError:
    return SieError(
        ErrorReason.ERROR_REASON_BATCH_EXPIRED,
        "the batch's window passed before this request was computed",
        batch_id=batch_id,
    )
