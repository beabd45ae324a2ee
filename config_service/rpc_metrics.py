"""Calls to the config service, counted and timed where they come in."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from config_service.metrics import Metrics
from servicekit.grpc_server import Wrapping


class RpcMetrics(Wrapping):
    """Counts every call by rpc and status, and times those with one answer.

    Calls without a handler are not counted: their names are the caller's, and without bound.

    Args:
        metrics: where to.
        clock: seconds, monotonic.
    """

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._clock = clock

    def wrap(self, behaviour: Any, method: str, *, generates: bool, streams: bool) -> Any:
        rpc = method.rpartition("/")[2]
        if generates:
            return self._stream(behaviour, rpc)
        return self._awaited(behaviour, rpc) if streams else self._timed(behaviour, rpc)

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
