"""DeadLetterService: letters are listed, shown, tried again and purged.

    replay:  letter ─► suspects' queue, with a reply subject of ours ─► outcome ─► letter removed
                                                                        └ or kept, if there is none

A replay answers nobody: the caller of old has gone. What an operator wants to know is whether
the work can be done now, so the replay waits for that, and only a result removes the letter.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Iterable
from typing import Any, TypeVar

import nats.errors
from google.protobuf.message import DecodeError
from nats.aio.client import Client
from nats.js import api
from nats.js.errors import NotFoundError

from servicekit import subjects
from servicekit.errors import SieError, invalid
from servicekit.pools import pool_not_found
from servicekit.subjects import DEAD_LETTERS_STREAM, DEAD_PREFIX, Lane, Queue
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.operations.v1.dead_letter_pb2 import DeadLetter, ReplayOutcome, ReplayState
from sie.operations.v1.dead_letter_service_pb2 import (
    GetDeadLetterRequest,
    GetDeadLetterResponse,
    ListDeadLettersRequest,
    ListDeadLettersResponse,
    PurgeDeadLettersRequest,
    PurgeDeadLettersResponse,
    ReplayDeadLetterRequest,
    ReplayDeadLetterResponse,
)
from sie.operations.v1.dead_letter_service_pb2_grpc import DeadLetterServiceServicer
from sie.work.v1.work_item_pb2 import WorkItem
from sie.work.v1.work_result_pb2 import WorkResult
from sie.worker.v1.adoption_pb2 import AdoptionOffer

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000
MAX_REPLAY_S = 60.0
# Left of the call's deadline for its reply.
_MARGIN_S = 1.0
_REQUEST_TIMEOUT_S = 3.0
# The broker's code for a stream that takes no more messages, or no more bytes.
_FULL = 10077
_FULL_RETRY_S = 5.0
_ANSWERS = (NotFoundError, nats.js.errors.ServerError, nats.js.errors.BadRequestError)

T = TypeVar("T")


class DeadLetterService(DeadLetterServiceServicer):
    """Reads and writes the dead letters' stream.

    Args:
        client: connection to the broker.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._js = client.jetstream(timeout=_REQUEST_TIMEOUT_S)

    async def ListDeadLetters(
        self, request: ListDeadLettersRequest, context: Any
    ) -> ListDeadLettersResponse:
        size = min(request.page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        first = _sequence(request.page_token, "page_token") + 1 if request.page_token else 1
        letters: list[DeadLetter] = []
        async for message in self._letters(request.pool, request.model_id, first):
            if len(letters) == size:
                return ListDeadLettersResponse(
                    letters=letters, next_page_token=letters[-1].letter_id
                )
            letters.append(_letter(message))
        return ListDeadLettersResponse(letters=letters)

    async def GetDeadLetter(
        self, request: GetDeadLetterRequest, context: Any
    ) -> GetDeadLetterResponse:
        message = await self._message(request.letter_id)
        letter = _letter(message)
        letter.work_item.CopyFrom(_work_item(message))
        return GetDeadLetterResponse(letter=letter)

    async def ReplayDeadLetter(
        self, request: ReplayDeadLetterRequest, context: Any
    ) -> ReplayDeadLetterResponse:
        message = await self._message(request.letter_id)
        remaining = context.time_remaining()
        seconds = MAX_REPLAY_S if remaining is None else min(MAX_REPLAY_S, remaining - _MARGIN_S)
        if seconds <= 0:
            raise invalid("timeout", f"a replay needs more than {_MARGIN_S:g} s")
        outcome = await self._replay(message, seconds)
        outcome.letter_id = request.letter_id
        if outcome.state == ReplayState.REPLAY_STATE_ANSWERED:
            await self._delete(message.seq)
        return ReplayDeadLetterResponse(outcome=outcome)

    async def PurgeDeadLetters(
        self, request: PurgeDeadLettersRequest, context: Any
    ) -> PurgeDeadLettersResponse:
        if request.letter_ids:
            sequences = [_sequence(each, "letter_ids") for each in request.letter_ids]
            return PurgeDeadLettersResponse(purged=await self._delete_all(sequences))
        if not request.all:
            raise invalid("all", "must be true where no letter is named")
        found = [_seq(each) async for each in self._letters(request.pool, request.model_id, 1)]
        return PurgeDeadLettersResponse(purged=await self._delete_all(found))

    async def _letters(
        self, pool: str, model_id: str, first: int
    ) -> AsyncIterator[api.RawStreamMsg]:
        """Letters of a pool and a model, oldest first, from a sequence on."""
        model = subjects.model_token(model_id) if model_id else "*"
        subject = f"{DEAD_PREFIX}.{_token(pool)}.*.*.{model}.*"
        sequence = first
        while True:
            try:
                message = await _broker(
                    self._js.get_msg(DEAD_LETTERS_STREAM, sequence, subject=subject, next=True)
                )
            except NotFoundError:
                return
            yield message
            sequence = _seq(message) + 1

    async def _message(self, letter_id: str) -> api.RawStreamMsg:
        try:
            sequence = _sequence(letter_id, "letter_id")
            message: api.RawStreamMsg = await _broker(
                self._js.get_msg(DEAD_LETTERS_STREAM, sequence)
            )
        except NotFoundError:
            raise SieError(
                ErrorReason.ERROR_REASON_DEAD_LETTER_NOT_FOUND,
                f"there is no dead letter '{letter_id}'",
                letter_id=letter_id,
            ) from None
        return message

    async def _delete_all(self, sequences: Iterable[int]) -> int:
        return sum([await self._delete(sequence) for sequence in sequences])

    async def _delete(self, sequence: int | None) -> bool:
        try:
            await _broker(self._js.delete_msg(DEAD_LETTERS_STREAM, sequence or 0))
        except _ANSWERS:
            # It had gone before, which is what was asked for.
            return False
        return True

    async def _replay(self, message: api.RawStreamMsg, seconds: float) -> ReplayOutcome:
        item, lane = _work_item(message), _lane(message)
        item.reply_subject = f"{subjects.reply_prefix('config')}.replay.{secrets.token_hex(8)}"
        now = time.time()
        item.deadline_unix_ms = int((now + seconds) * 1000)
        item.published_unix_us = int(now * 1e6)
        replies = await _broker(self._client.subscribe(item.reply_subject))
        try:
            await _broker(self._offer(lane, item))
            await _broker(self._publish(lane, item))
            return await _outcome(replies, item.item_count, seconds)
        finally:
            # A subscription of a connection that was lost is gone already.
            with contextlib.suppress(nats.errors.Error):
                await replies.unsubscribe()

    async def _publish(self, lane: Lane, item: WorkItem) -> None:
        subject = subjects.work_subject(lane, item.model_id, Queue.SUSPECT)
        try:
            await self._js.publish(subject, item.SerializeToString())
        except nats.js.errors.NoStreamResponseError:
            raise pool_not_found(lane.pool) from None
        except nats.js.errors.APIError as error:
            if error.err_code != _FULL:
                raise
            raise SieError(
                ErrorReason.ERROR_REASON_QUEUE_FULL,
                f"the work queue of pool '{lane.pool}' is full",
                retry_after_s=_FULL_RETRY_S,
                pool=lane.pool,
            ) from None

    async def _offer(self, lane: Lane, item: WorkItem) -> None:
        """Have the model loaded, should no worker host it."""
        offer = AdoptionOffer(model_id=item.model_id, registry_revision=item.registry_revision)
        await self._client.publish(
            subjects.adoption(lane), offer.SerializeToString(), reply=self._client.new_inbox()
        )


async def _broker(call: Awaitable[T]) -> T:
    """Awaits a call to the broker; what it says of its content passes, as of one not found."""
    try:
        return await call
    except _ANSWERS:
        raise
    except (nats.errors.Error, TimeoutError) as error:
        raise SieError(
            ErrorReason.ERROR_REASON_QUEUE_UNAVAILABLE, "the broker cannot be reached"
        ) from error


async def _outcome(replies: Any, item_count: int, seconds: float) -> ReplayOutcome:
    answered: set[int] = set()
    try:
        async with asyncio.timeout(seconds):
            while True:
                result = WorkResult.FromString((await replies.next_msg(timeout=seconds)).data)
                if result.HasField("error"):
                    return ReplayOutcome(
                        state=ReplayState.REPLAY_STATE_FAILED,
                        worker_id=result.worker_id,
                        error=result.error,
                    )
                if result.HasField("part") and result.part.number + 1 < result.part.count:
                    continue
                first = result.first_item
                answered.update(range(first, first + result.item_count))
                if len(answered) >= item_count:
                    return ReplayOutcome(
                        state=ReplayState.REPLAY_STATE_ANSWERED, worker_id=result.worker_id
                    )
    except (TimeoutError, nats.errors.TimeoutError):
        return ReplayOutcome(state=ReplayState.REPLAY_STATE_TIMED_OUT)


def _letter(message: api.RawStreamMsg) -> DeadLetter:
    item, lane, headers = _work_item(message), _lane(message), message.headers or {}
    letter = DeadLetter(
        letter_id=str(_seq(message)),
        reason=headers.get("Sie-Reason", ""),
        attempts=int(headers.get("Sie-Deliveries", "0")),
        pool=lane.pool,
        machine_profile=lane.machine_profile,
        bundle=lane.bundle,
        model_id=item.model_id,
        request_id=item.request_id,
        tenant=item.tenant,
        verb=item.WhichOneof("request") or "",
        first_item=item.first_item,
        item_count=item.item_count,
        size_bytes=len(message.data or b""),
    )
    if message.time is not None:
        letter.died_at.FromDatetime(message.time)
    return letter


def _lane(message: api.RawStreamMsg) -> Lane:
    """The lane, from the subject: a work item does not know its own."""
    tokens = (message.subject or "").removeprefix(f"{DEAD_PREFIX}.").split(".")
    return Lane(*tokens[:3])


def _work_item(message: api.RawStreamMsg) -> WorkItem:
    try:
        return WorkItem.FromString(message.data or b"")
    except DecodeError:
        return WorkItem()


def _seq(message: api.RawStreamMsg) -> int:
    return message.seq or 0


def _sequence(text: str, field: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:20]) < 2**63):
        raise invalid(field, "is no letter's id")
    return int(text[:20])


def _token(pool: str) -> str:
    """A pool as a subject token; one that could not be a pool's name matches nothing."""
    if not pool:
        return "*"
    if not all(each.isalnum() or each in "-_" for each in pool):
        raise invalid("pool", "is no name of a pool")
    return pool
