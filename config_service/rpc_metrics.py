"""Calls to the config service, counted and timed where they come in."""

import asyncio
import contextlib
import inspect
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import grpc

from config_service.metrics import Metrics


class RpcMetrics(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Counts every call by rpc and status, and times those with one answer.

    Calls without a handler are not counted: their names are the caller's, and without bound.

    Args:
        metrics: where to.
        clock: seconds, monotonic.
    """

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._clock = clock

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_streaming:
            return handler
        rpc = handler_call_details.method.rpartition("/")[2]
        if handler.response_streaming:
            behaviour = handler.unary_stream
            generates = inspect.isasyncgenfunction(behaviour)
            return grpc.unary_stream_rpc_method_handler(
                self._stream(behaviour, rpc) if generates else self._awaited(behaviour, rpc),
                handler.request_deserializer,
                handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            self._timed(handler.unary_unary, rpc),
            handler.request_deserializer,
            handler.response_serializer,
        )

    def _timed(self, behaviour: Any, rpc: str) -> Any:
        async def call(request: Any, context: Any) -> Any:
            began = self._clock()
            try:
                return await behaviour(request, context)
            finally:
                self._metrics.request_seconds.labels(rpc).observe(self._clock() - began)

        return self._awaited(call, rpc)

    def _awaited(self, behaviour: Any, rpc: str) -> Any:
        async def call(request: Any, context: Any) -> Any:
            with self._counted(rpc, context):
                return await behaviour(request, context)

        return call

    def _stream(self, behaviour: Any, rpc: str) -> Any:
        async def call(request: Any, context: Any) -> Any:
            with self._counted(rpc, context):
                async for response in behaviour(request, context):
                    yield response

        return call

    @contextlib.contextmanager
    def _counted(self, rpc: str, context: Any) -> Iterator[None]:
        went = False
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            went = True
            raise
        finally:
            # Where nothing was said of the end it is 0, which is OK.
            code = grpc.StatusCode.CANCELLED if went else context.code() or grpc.StatusCode.OK
            self._metrics.requests.labels(rpc, code.name).inc()
