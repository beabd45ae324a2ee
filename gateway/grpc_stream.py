"""EncodeStream: many Encode calls over one gRPC stream, each through the pipeline of its own.

    caller ── bodies ──► reader ── a task each ──► Api.call
                           │ room for _IN_HAND requests        │
    caller ◄── replies ◄── queue, in the order asked for ◄─────┘

A reply leaves its room when the transport has taken it, so a caller that does not read its
replies is not read from, and holds a bounded part of our memory.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import grpc

from gateway.access_log import Record
from gateway.api import Api
from gateway.grpc_face import metadata_of, parse
from gateway.request_id import REQUEST_ID_HEADER, request_id_of
from servicekit.errors import SieError, code_of, proto_of
from servicekit.grpc_server import abort
from servicekit.packed import packed_twin
from sie.inference.v1 import inference_service_pb2
from sie.inference.v1.inference_service_pb2 import (
    EncodeStreamRequest,
    EncodeStreamResponse,
    StreamOrder,
)

_SERVICE = inference_service_pb2.DESCRIPTOR.services_by_name["InferenceService"]
_ENCODE = f"/{_SERVICE.full_name}/Encode"
_PATH = f"/{_SERVICE.full_name}/EncodeStream"
# Enough to keep several workers busy with small requests.
_IN_HAND = 64

# The response passes through as the bytes that the pipeline returns.
_PackedResponse = packed_twin(EncodeStreamResponse, opaque=["response"])


def handler(api: Api, max_request_bytes: int) -> "grpc.GenericRpcHandler[Any, Any]":
    """The handler of EncodeStream, for `grpc.aio.Server.add_generic_rpc_handlers`."""

    async def behaviour(bodies: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        metadata = metadata_of(context)
        stream = _Stream(api, metadata, request_id_of(metadata), max_request_bytes)
        try:
            async with contextlib.aclosing(stream.replies(bodies, context)) as replies:
                async for reply in replies:
                    yield reply
        except SieError as error:
            context.set_trailing_metadata(
                ((REQUEST_ID_HEADER, stream.id), ("x-sie-error-code", code_of(error.reason)))
            )
            await abort(context, error, stream.id)

    method = grpc.stream_stream_rpc_method_handler(behaviour)
    return grpc.method_handlers_generic_handler(_SERVICE.full_name, {"EncodeStream": method})


class _Stream:
    """One call.

    Args:
        api: where each request goes.
        metadata: the call's; it holds for each of its requests.
        stream_id: its request id; those of its requests count from it.
        max_request_bytes: of one request.
    """

    def __init__(
        self, api: Api, metadata: Mapping[str, str], stream_id: str, max_request_bytes: int
    ) -> None:
        self.id = stream_id
        self._api = api
        self._metadata = metadata
        self._max_request_bytes = max_request_bytes
        self._room = asyncio.Semaphore(_IN_HAND)
        self._count = itertools.count(1)
        # None ends the stream.
        self._answers: asyncio.Queue[asyncio.Future[bytes] | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[bytes]] = set()

    async def replies(self, bodies: AsyncIterator[bytes], context: Any) -> AsyncGenerator[bytes]:
        """Serialised EncodeStreamResponses.

        Raises:
            SieError: the caller is not known, or a message could not be read; everything
                before it has been answered.
        """
        self._api.identify(self._metadata)
        reader = asyncio.create_task(self._read(bodies, context))
        try:
            while (answer := await self._answers.get()) is not None:
                yield await answer
                self._room.release()
            await reader
        finally:
            for task in [reader, *self._tasks]:
                task.cancel()

    async def _read(self, bodies: AsyncIterator[bytes], context: Any) -> None:
        order = None
        try:
            async for body in bodies:
                await self._room.acquire()
                request = parse(EncodeStreamRequest, body, self._max_request_bytes)
                order = request.order if order is None else order
                self._begin(request, context.time_remaining(), order)
        finally:
            if self._tasks:
                await asyncio.wait(self._tasks)
            self._answers.put_nowait(None)

    def _begin(
        self, request: EncodeStreamRequest, timeout_s: float | None, order: StreamOrder
    ) -> None:
        task = asyncio.create_task(
            self._answer(request, timeout_s, f"{self.id}.{next(self._count)}")
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if order == StreamOrder.STREAM_ORDER_READY:
            task.add_done_callback(self._answers.put_nowait)
        else:
            self._answers.put_nowait(task)

    async def _answer(
        self, request: EncodeStreamRequest, timeout_s: float | None, request_id: str
    ) -> bytes:
        endpoint = self._api.endpoints[_ENCODE]
        reply = _PackedResponse(key=request.key)
        record = Record(request_id, "GRPC", _PATH, bytes_in=request.ByteSize())
        try:
            done = await self._api.call(
                endpoint, request.request, self._metadata, timeout_s, record
            )
            reply.response = done.body
            record.bytes_out = len(done.body)
        except SieError as error:
            reply.error.ParseFromString(proto_of(error).SerializeToString())
        finally:
            self._api.access_log.write(record)
        return bytes(reply.SerializeToString())
