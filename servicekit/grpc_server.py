"""The gRPC server that every service starts: health, reflection, typed errors, drain.

Health answers for `""` and for every service by name, NOT_SERVING until `set_serving`.
Reflection is there under its stable name and under v1alpha, which older tools ask for.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha._async import ReflectionServicer
from grpc_status import rpc_status

from servicekit.errors import SieError, internal, status_of
from servicekit.tls import ServerTls

log = logging.getLogger(__name__)

_REFLECTION_V1 = "grpc.reflection.v1.ServerReflection"
_REFLECTION_V1ALPHA = "grpc.reflection.v1alpha.ServerReflection"
_HEALTH = "grpc.health.v1.Health"

# Clients reconnect now and then, so that they find gateways that came later.
_MAX_CONNECTION_AGE_MS = 30 * 60 * 1000


class GrpcServer:
    """A grpc.aio server with what the field expects of one.

    Args:
        address: `host:port`; port 0 takes a free one.
        services: full names of the services that will be added.
        max_message_bytes: larger requests are refused by the transport itself.
        tls: None serves in clear.
        shares_port: whether other processes may listen there too; the kernel then gives each
            connection to one of them. Otherwise a taken port is an error.
        interceptors: what calls go through first.
    """

    def __init__(
        self,
        address: str,
        services: Sequence[str],
        max_message_bytes: int,
        tls: ServerTls | None = None,
        *,
        shares_port: bool = False,
        interceptors: "Sequence[grpc.aio.ServerInterceptor[Any, Any]]" = (),
    ) -> None:
        self._address = address
        self._tls = tls
        self._services = services
        self._health = HealthServicer()
        self.server = grpc.aio.server(
            interceptors=[*interceptors, _TypedErrors()],
            options=[
                ("grpc.max_receive_message_length", max_message_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_connection_age_ms", _MAX_CONNECTION_AGE_MS),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
                ("grpc.so_reuseport", int(shares_port)),
            ],
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.server)
        self._add_reflection()

    def _add_reflection(self) -> None:
        names = [*self._services, _HEALTH, _REFLECTION_V1, _REFLECTION_V1ALPHA]
        servicer = ReflectionServicer(names, pool=descriptor_pool.Default())
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, self.server)
        # The two versions of the protocol differ in their package name alone.
        stable = grpc.stream_stream_rpc_method_handler(
            servicer.ServerReflectionInfo,
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        self.server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(_REFLECTION_V1, {"ServerReflectionInfo": stable})]
        )

    def stream_encoded(
        self, service: str, method: str, behaviour: Any, request_class: type[Message]
    ) -> None:
        """Serves a server-streaming rpc whose responses are encoded already.

        Called after the servicer was added, whose method it replaces.
        """
        handler = grpc.unary_stream_rpc_method_handler(
            behaviour, request_deserializer=request_class.FromString, response_serializer=None
        )
        handlers = {method: handler}
        # The stubs of the library lag behind it.
        self.server.add_registered_method_handlers(service, handlers)  # type: ignore[attr-defined]

    async def start(self) -> int:
        """Listens, and returns the port.

        Raises:
            OSError: the address is taken, and the message names it.
        """
        try:
            if self._tls is None:
                port = self.server.add_insecure_port(self._address)
            else:
                port = self.server.add_secure_port(self._address, self._tls.grpc_credentials())
        except RuntimeError:
            # All that the library says is a hint at a variable of its own.
            raise OSError(f"cannot listen on {self._address} for gRPC") from None
        await self.set_serving(False)
        await self.server.start()
        return int(port)

    async def set_serving(self, serving: bool) -> None:
        """Sets the health of the server and of each of its services."""
        states = health_pb2.HealthCheckResponse
        status = states.SERVING if serving else states.NOT_SERVING
        for name in ["", *self._services]:
            await self._health.set(name, status)

    async def stop(self, grace_s: float) -> None:
        """Refuses new calls and lets those in flight finish within `grace_s` seconds."""
        await self.set_serving(False)
        await self.server.stop(grace_s)


async def abort(
    context: Any,
    error: SieError,
    request_id: str = "",
    trailing: Sequence[tuple[str, str]] = (),
) -> None:
    """Ends a call with the error's status, its details and further metadata. Does not return."""
    status = rpc_status.to_status(status_of(error, request_id))
    # What was set as trailing metadata before is replaced by that of the status.
    metadata = (*status.trailing_metadata, *trailing)
    try:
        await context.abort(status.code, status.details, metadata)
    except grpc.aio.InternalError:
        # The caller has gone, or its deadline has passed, while the status was on its way.
        raise asyncio.CancelledError from None


class Wrapping(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Puts something around the handler of each call with one request."""

    def wrap(self, behaviour: Any, method: str, *, generates: bool, streams: bool) -> Any:
        """What is called instead of a handler.

        Args:
            behaviour: the handler.
            method: the call's full name.
            generates: whether the handler is an asynchronous generator, and so must this be.
            streams: whether a call has many responses. A handler of such may also be a coroutine
                that writes, as that of Health.Watch is.
        """
        raise NotImplementedError

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_streaming:
            return handler
        streams = handler.response_streaming
        behaviour = handler.unary_stream if streams else handler.unary_unary
        make = (
            grpc.unary_stream_rpc_method_handler if streams else grpc.unary_unary_rpc_method_handler
        )
        return make(
            self.wrap(
                behaviour,
                handler_call_details.method,
                generates=inspect.isasyncgenfunction(behaviour),
                streams=streams,
            ),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


class _TypedErrors(Wrapping):
    """Turns what handlers raise into a status: the one place where gRPC errors are made."""

    def wrap(self, behaviour: Any, method: str, *, generates: bool, streams: bool) -> Any:
        return (_stream if generates else _awaited)(behaviour, method)


def _awaited(behaviour: Any, method: str) -> Any:
    async def call(request: Any, context: Any) -> Any:
        try:
            return await behaviour(request, context)
        except Exception as error:  # noqa: BLE001 - whoever calls is told of it
            await _tell(context, method, error)

    return call


def _stream(behaviour: Any, method: str) -> Any:
    async def call(request: Any, context: Any) -> Any:
        try:
            async for response in behaviour(request, context):
                yield response
        except Exception as error:  # noqa: BLE001 - whoever calls is told of it
            await _tell(context, method, error)

    return call


async def _tell(context: Any, method: str, error: Exception) -> None:
    """Ends a call with what went wrong in it; a caller learns nothing of what was not meant."""
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if not isinstance(error, SieError):
        log.error("unexpected failure", exc_info=error, extra={"fields": {"method": method}})
        error = internal()
    await abort(context, error)
