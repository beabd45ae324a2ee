"""EncodeStream: many Encode calls over one gRPC stream, each through the pipeline of its own."""

import contextlib
import functools
import itertools
from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc

from gateway.access_log import Record
from gateway.api import Api
from gateway.grpc_face import error_trailers, metadata_of, parse
from gateway.job_stream import Job, answers
from gateway.request_id import REQUEST_ID_HEADER, request_id_of
from gateway.validation import check_enum
from servicekit.errors import SieError, proto_of
from servicekit.grpc_server import abort
from servicekit.packed import packed_twin
from servicekit.registry_view import SERVER_VERSION
from sie.inference.v1 import inference_service_pb2
from sie.inference.v1.inference_service_pb2 import (
    EncodeStreamRequest,
    EncodeStreamResponse,
    StreamOrder,
)

_SERVICE = inference_service_pb2.DESCRIPTOR.services_by_name["InferenceService"]
_ENCODE = f"/{_SERVICE.full_name}/Encode"
_PATH = f"/{_SERVICE.full_name}/EncodeStream"

# The response passes through as the bytes that the pipeline returns.
_PackedResponse = packed_twin(EncodeStreamResponse, opaque=["response"])


def handler(api: Api, max_request_bytes: int, version: str) -> "grpc.GenericRpcHandler[Any, Any]":
    """The handler of EncodeStream, for `grpc.aio.Server.add_generic_rpc_handlers`."""

    async def behaviour(bodies: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        metadata = metadata_of(context)
        stream = _Stream(api, metadata, request_id_of(metadata), max_request_bytes)
        try:
            metadata.check()
            in_hand = api.identify(metadata).in_hand
            async with contextlib.aclosing(
                answers(stream.jobs(bodies, context), in_hand)
            ) as replies:
                async for reply in replies:
                    yield reply
            context.set_trailing_metadata(
                ((REQUEST_ID_HEADER, stream.id), (SERVER_VERSION, version))
            )
        except SieError as error:
            await abort(context, error, stream.id, error_trailers(error, stream.id, version))

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

    async def jobs(self, bodies: AsyncIterator[bytes], context: Any) -> AsyncIterator[Job[bytes]]:
        """What answers each message, as a serialised EncodeStreamResponse.

        Raises:
            SieError: a message could not be read.
        """
        order = None
        count = itertools.count(1)
        async for body in bodies:
            request = parse(EncodeStreamRequest, body, self._max_request_bytes)
            if order is None:
                check_enum(request.order, StreamOrder, "order")
                order = request.order
            run = functools.partial(
                self._answer, request, context.time_remaining(), f"{self.id}.{next(count)}"
            )
            yield Job(run, in_order=order != StreamOrder.STREAM_ORDER_READY)

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
