"""Work that was delivered as often as allowed, moved to the dead letters.

    advisory ─► get the item ─► publish to sie.dead.… ─► tell the caller ─► delete ─► ack
                                       │ acknowledged, with a Nats-Msg-Id
                                       └ a crash behind it repeats the move, and the
                                         broker drops the second copy

A work queue neither delivers such a message again nor removes it, so somebody must. The
letter keeps the whole work item with the reason and the count of deliveries.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import nats.errors
import orjson
from google.protobuf.message import DecodeError
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import api
from nats.js.errors import NotFoundError
from prometheus_client import Counter

from config_service.answers import answer
from config_service.streams import ADVISORIES_STREAM
from servicekit.errors import SieError, code_of
from servicekit.subjects import DEAD_PREFIX, WORK_PREFIX, work_stream
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.work.v1.work_item_pb2 import WorkItem

log = logging.getLogger(__name__)

CONSUMER = "dead-letters"

_BATCH = 32
_FETCH_TIMEOUT_S = 2.0
_RETRY_S = 1.0
_REASON = ErrorReason.ERROR_REASON_DELIVERY_EXHAUSTED
_WORK_STREAM_PREFIX = work_stream("")


class DeadLetters:
    """Moves exhausted work to the dead letters for as long as `run` runs.

    Args:
        client: connection to the broker.
        moved: counts letters by `pool`.
    """

    def __init__(self, client: Client, moved: Counter) -> None:
        self._client = client
        self._js = client.jetstream()
        self._moved = moved

    async def run(self) -> None:
        """Handles advisories until cancelled; survives a broker that comes and goes."""
        while True:
            try:
                await self._follow()
            except (nats.errors.Error, TimeoutError) as error:
                log.info("dead letters wait for the broker: %s", error or type(error).__name__)
                await asyncio.sleep(_RETRY_S)

    async def _follow(self) -> None:
        config = api.ConsumerConfig(durable_name=CONSUMER, ack_policy=api.AckPolicy.EXPLICIT)
        await self._js.add_consumer(ADVISORIES_STREAM, config)
        advisories = await self._js.pull_subscribe_bind(consumer=CONSUMER, stream=ADVISORIES_STREAM)
        try:
            while True:
                try:
                    messages = await advisories.fetch(_BATCH, timeout=_FETCH_TIMEOUT_S)
                except TimeoutError:
                    # Quiet, or the consumer went with a broker that lost its memory.
                    await advisories.consumer_info()
                    continue
                for message in messages:
                    await self._handle(message)
        finally:
            await advisories.unsubscribe()

    async def _handle(self, message: Msg) -> None:
        try:
            advisory = orjson.loads(message.data)
            if advisory["stream"].startswith(_WORK_STREAM_PREFIX):
                await self._move(advisory)
        except (KeyError, TypeError, ValueError):
            # Read again it would be no better, and would hold up those behind it.
            log.exception("advisory cannot be read")
            await message.term()
            return
        await message.ack()

    async def _move(self, advisory: Mapping[str, Any]) -> None:
        stream, sequence = advisory["stream"], advisory["stream_seq"]
        try:
            found = await self._js.get_msg(stream, sequence)
        except NotFoundError:
            # Acknowledged at the last moment, or moved by the run before a crash.
            return
        data, item = found.data or b"", _work_item(found.data or b"")
        await self._js.publish(
            f"{DEAD_PREFIX}{(found.subject or '').removeprefix(WORK_PREFIX)}",
            data,
            headers=_headers(advisory, item),
        )
        await self._tell_caller(item, advisory["deliveries"])
        await self._js.delete_msg(stream, sequence)
        pool = stream.removeprefix(_WORK_STREAM_PREFIX)
        self._moved.labels(pool=pool).inc()
        fields = {"request_id": item.request_id, "model": item.model_id, "pool": pool}
        log.warning("work given up", extra={"fields": fields})

    async def _tell_caller(self, item: WorkItem, deliveries: int) -> None:
        text = f"the work was given up after {deliveries} deliveries"
        await answer(self._client, item, SieError(_REASON, text, attempts=deliveries))


def _headers(advisory: Mapping[str, Any], item: WorkItem) -> dict[str, str]:
    stream, sequence = advisory["stream"], advisory["stream_seq"]
    return {
        "Sie-Reason": code_of(_REASON),
        "Sie-Deliveries": str(advisory["deliveries"]),
        "Sie-Stream": stream,
        "Sie-Consumer": advisory["consumer"],
        # Sequences begin anew with a memory broker, request ids do not.
        "Nats-Msg-Id": f"{stream}:{sequence}:{item.request_id}:{item.first_item}",
    }


def _work_item(data: bytes) -> WorkItem:
    try:
        return WorkItem.FromString(data)
    except DecodeError:
        # Still worth keeping: the letter holds the bytes as they are.
        return WorkItem()
