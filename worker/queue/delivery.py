"""One work item in a worker's hands, from its delivery to its ack.

The reply is published before the ack: if the worker dies in between, the item is delivered
again and answered twice, which the gateway ignores. The other order could lose it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf.message import DecodeError
from nats.aio.client import Client
from nats.aio.msg import Msg

from servicekit.defaults import DEFAULT_TENANT
from servicekit.errors import SieError, code_of, proto_of
from servicekit.packed import packed_twin
from servicekit.subjects import Queue, is_reply
from servicekit.tracing import NO_SPAN, Span, Tracer
from sie.inference.v1.result_pb2 import Timing
from sie.work.v1.work_item_pb2 import WorkClass, WorkItem
from sie.work.v1.work_result_pb2 import WorkResult
from worker.batching.waiting_queue import Flow

PackedWorkResult = packed_twin(WorkResult, opaque=("encode", "score", "extract", "tokenize"))

# The largest result of one item; it travels in pieces where the broker's messages are smaller.
MAX_RESULT_BYTES = 64 * 1024 * 1024
# Room for the fields of a WorkResult beside its fragments.
_ENVELOPE_BYTES = 4096

_TRACE_HEADERS = ("traceparent", "tracestate")

_PROGRESS = b"+WPI"
_TERM = b"+TERM"


def read_item(data: bytes) -> WorkItem:
    """Read a work item.

    Raises:
        ValueError: it is none, or would have this worker publish something that is no reply.

    """
    try:
        item = WorkItem.FromString(data)
    except DecodeError as error:
        raise ValueError(str(error)) from error
    if not is_reply(item.reply_subject):
        raise ValueError(f"no subject for a reply: {item.reply_subject!r}")
    return item


class Delivery:
    """A work item and the message to acknowledge.

    Args:
        nats: connection to the broker.
        message: the JetStream message.
        item: what it holds.
        worker_id: who answers.
        age_s: how long the message has been in the queue.

    """

    def __init__(
        self, nats: Client, message: Msg, item: WorkItem, worker_id: str, age_s: float = 0.0
    ) -> None:
        self._nats = nats
        self._worker_id = worker_id
        self.message = message
        self.item = item
        given_s = item.deadline_unix_ms / 1e3 - item.published_unix_us / 1e6
        # Seconds of time.perf_counter().
        self.deadline = time.perf_counter() + given_s - age_s
        self.closed = False
        self.queue = Queue.INTERACTIVE
        self.input_tokens = 0
        self.span: Span = NO_SPAN
        self.timing = Timing(queue_ms=age_s * 1e3)

    @property
    def expired(self) -> bool:
        return self.deadline <= time.perf_counter()

    def restamp(self) -> None:
        """Make the item one that is published now, with the time that is left to it."""
        left_s = self.deadline - time.perf_counter()
        self.item.published_unix_us = self.item.deadline_unix_ms * 1000 - int(left_s * 1e6)

    @property
    def flow(self) -> Flow:
        """Whose turn its inputs wait for."""
        is_bulk = self.item.work_class == WorkClass.WORK_CLASS_BULK
        return Flow(self.item.tenant or DEFAULT_TENANT, bulk=is_bulk)

    @property
    def trace(self) -> dict[str, str]:
        """Headers of its trace, as the gateway sent them."""
        headers = self.message.headers or {}
        return {name: headers[name] for name in _TRACE_HEADERS if name in headers}

    def begin(self, tracer: Tracer) -> None:
        """Go on with the trace of the request."""
        published_s = self.item.published_unix_us / 1e6
        tracer.begin("queue", "consumer", self.trace, published_s).end()
        self.span = tracer.begin("process", "consumer", self.trace)
        if self.span.recording:
            self.span.set(
                sie__request_id=self.item.request_id,
                sie__model=self.item.model_id,
                sie__verb=self.item.WhichOneof("request") or "",
                sie__first_item=self.item.first_item,
                sie__items=self.item.item_count,
                sie__worker=self._worker_id,
            )

    async def nak(self, delay_s: float) -> None:
        """Give the item back, to be delivered again after a while."""
        self.closed = True
        delay = b'-NAK {"delay": %d}' % int(delay_s * 1e9)
        await self._nats.publish(self.message.reply, delay)

    @property
    def max_fragment_bytes(self) -> int:
        """The largest fragment that a reply carries."""
        return MAX_RESULT_BYTES

    async def reply(self, verb: str, fragments: Sequence[bytes]) -> None:
        """Publish the results, then acknowledge.

        Args:
            verb: the outcome's field in WorkResult.
            fragments: one serialised response for each item of the work item, in order.

        """
        for first, part in _runs(fragments, self._message_bytes):
            result = self._result(first, len(part))
            result.input_tokens = 0 if first else self.input_tokens
            setattr(result, verb, b"".join(part))
            await self._send(result)
        await self.ack()

    async def fail(self, error: SieError) -> None:
        """Answer the whole item with one error, and acknowledge: it will not get better."""
        self.span.fail(code_of(error.reason))
        result = self._result(0, self.item.item_count)
        result.error.ParseFromString(proto_of(error).SerializeToString())
        await self._send(result)
        await self.ack()

    async def ack(self) -> None:
        """Remove the item from the queue."""
        self.closed = True
        await self._nats.publish(self.message.reply, b"")

    async def progress(self) -> None:
        """Tell the broker that the item is being worked on."""
        await self._nats.publish(self.message.reply, _PROGRESS)

    @property
    def _message_bytes(self) -> int:
        """What fits into one message beside the envelope."""
        return int(self._nats.max_payload) - _ENVELOPE_BYTES

    async def _send(self, result: Any) -> None:
        """Publish a result, in pieces if it must be."""
        data, size = result.SerializeToString(), self._message_bytes
        if len(data) <= size + _ENVELOPE_BYTES:
            await self._nats.publish(self.item.reply_subject, data)
            return
        reply_id, count = secrets.token_hex(8), -(-len(data) // size)
        for number in range(count):
            piece = WorkResult(
                request_id=result.request_id,
                first_item=result.first_item,
                item_count=result.item_count,
            )
            piece.part.reply_id, piece.part.number, piece.part.count = reply_id, number, count
            piece.part.data = data[number * size : (number + 1) * size]
            await self._nats.publish(self.item.reply_subject, piece.SerializeToString())

    def _result(self, first: int, count: int) -> Any:
        result = PackedWorkResult(
            request_id=self.item.request_id,
            first_item=self.item.first_item + first,
            item_count=count,
            worker_id=self._worker_id,
        )
        result.timing.ParseFromString(self.timing.SerializeToString())
        return result


def _runs(fragments: Sequence[bytes], limit: int) -> Iterator[tuple[int, Sequence[bytes]]]:
    """Split fragments into runs of at most so many bytes, or of one that is larger."""
    first, size = 0, 0
    for index, fragment in enumerate(fragments):
        if index > first and size + len(fragment) > limit:
            yield first, fragments[first:index]
            first, size = index, 0
        size += len(fragment)
    yield first, fragments[first:]


async def terminate(nats: Client, message: Msg) -> None:
    """Remove an item that can never succeed from the queue."""
    await nats.publish(message.reply, _TERM)
