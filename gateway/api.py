"""The one pipeline behind both faces.

    gRPC ──┐   request id → deadline → guard → read → implementation → reply or SieError
    HTTP ──┴─►          counted, timed, traced and recorded once, here

A face turns its wire into a message and the outcome back into its wire; whatever holds for
every call (ids, deadlines, who may, drain, metrics, unexpected failures) happens in `Api.call`.
"""

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Iterable, Mapping

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from prometheus_client import CollectorRegistry, Counter, Histogram

from gateway.access_log import AccessLog, Record
from gateway.auth.guard import Guard
from gateway.auth.principal import Principal
from gateway.endpoint import Call, Endpoint, Read, Reply, endpoint_of
from gateway.numbers import number_of
from gateway.request_id import REQUEST_ID_HEADER, request_id_of
from servicekit import logs
from servicekit.errors import SieError, code_of, internal, invalid, spec_of
from servicekit.tracing import Span, Tracer
from sie.errors.v1.error_reason_pb2 import ErrorReason

log = logging.getLogger(__name__)

_LATENCY_BUCKETS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Api:
    """Every unary rpc of some services, ready to be called.

    Args:
        services: descriptor and implementation of each. Rpc `GetModel` is the method
            `get_model(request, call)`; one that is missing answers NOT_IMPLEMENTED.
        default_timeout_s: for callers that give none.
        max_timeout_s: longer ones are cut to this.
        registry: holds the metrics.
        guard: knows the callers and their limits.
        machine_profile_of: the machine profile for a value of `x-sie-machine-profile` (`""` when
            absent). Must map to few values: they are metric labels.
        access_log: faces write their records there.
        tracer: begins the spans of calls.
    """

    def __init__(
        self,
        services: Iterable[tuple[ServiceDescriptor, object]],
        *,
        default_timeout_s: float,
        max_timeout_s: float,
        registry: CollectorRegistry,
        guard: Guard,
        machine_profile_of: Callable[[str], str] = lambda _: "default",
        access_log: AccessLog | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        endpoints = [
            endpoint_of(method, implementation)
            for service, implementation in services
            for method in service.methods
            if not (method.client_streaming or method.server_streaming)
        ]
        self.endpoints = {endpoint.path: endpoint for endpoint in endpoints}
        self.access_log = access_log or AccessLog(enabled=False)
        self._tracer = tracer or Tracer()
        self._default_timeout_s = default_timeout_s
        self._max_timeout_s = max_timeout_s
        self._machine_profile_of = machine_profile_of
        self._guard = guard
        self._metrics = _Metrics(registry)
        self._in_flight = 0
        self._idle: asyncio.Event | None = None

    async def call(
        self,
        endpoint: Endpoint,
        request: Message | Read,
        metadata: Mapping[str, str],
        timeout_s: float | None = None,
        record: Record | None = None,
        principal: Principal | None = None,
    ) -> Reply:
        """Runs one call to its end.

        Args:
            endpoint: one of `endpoints`.
            request: the message, or what reads it.
            metadata: keys in lower case. `x-request-timeout` bounds the call in seconds.
            timeout_s: what the transport says about the caller's patience.
            record: what the face knows of the request; the rest is filled in.
            principal: who calls, where no token in `metadata` says it.

        Raises:
            SieError: the call failed; nothing else is raised but CancelledError.
        """
        arrived = time.perf_counter()
        record = record or Record(request_id_of(metadata), "GRPC", endpoint.path)
        record.rpc = endpoint.label
        logs.request_id.set(record.request_id)
        self._in_flight += 1
        span = self._tracer.begin(endpoint.path[1:], "server", metadata)
        try:
            with span:
                reply = await self._admitted(
                    endpoint, request, metadata, principal, timeout_s, arrived, record, span
                )
            record.status = endpoint.http_status
        except SieError as error:
            _failed(record, error.reason)
            record.tenant = record.tenant or error.metadata.get("tenant", "")
            raise
        except asyncio.CancelledError:
            _failed(record, ErrorReason.ERROR_REASON_CANCELLED)
            raise
        except Exception:
            log.exception("unexpected failure", extra={"fields": {"method": endpoint.path}})
            _failed(record, ErrorReason.ERROR_REASON_INTERNAL_ERROR)
            raise internal() from None
        finally:
            self._leave()
            profile = self._machine_profile_of(metadata.get("x-sie-machine-profile", ""))
            elapsed_s = time.perf_counter() - arrived
            self._metrics.count(endpoint.label, record.status, profile, elapsed_s)
        return Reply(reply.body, {**reply.headers, REQUEST_ID_HEADER: record.request_id})

    def identify(self, metadata: Mapping[str, str]) -> Principal:
        """Who calls, for what is more than one call; raises SieError, UNAUTHENTICATED."""
        return self._guard.identify(metadata)

    @property
    def is_draining(self) -> bool:
        """Whether new calls are refused."""
        return self._idle is not None

    async def drain(self, timeout_s: float) -> int:
        """Refuses new calls, waits for those in flight, returns how many are left."""
        self._idle = asyncio.Event()
        if self._in_flight:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._idle.wait()
            except TimeoutError:
                log.warning("drain: %d calls still in flight", self._in_flight)
        return self._in_flight

    async def _admitted(
        self,
        endpoint: Endpoint,
        request: Message | Read,
        metadata: Mapping[str, str],
        principal: Principal | None,
        timeout_s: float | None,
        arrived: float,
        record: Record,
        span: Span,
    ) -> Reply:
        timeout_s = self._timeout(metadata, timeout_s)
        with self._guard.admit(endpoint.access, metadata, principal) as admission:
            record.tenant = admission.principal.tenant
            deadline = time.time() + timeout_s
            call = Call(record.request_id, deadline, metadata, arrived, admission, record, span)
            try:
                return await self._run(endpoint, request, call, timeout_s)
            finally:
                record.tokens = admission.tokens
                if span.recording:
                    _describe(span, record)

    async def _run(
        self, endpoint: Endpoint, request: Message | Read, call: Call, timeout_s: float
    ) -> Reply:
        if self.is_draining:
            raise SieError(ErrorReason.ERROR_REASON_SHUTTING_DOWN, "the server is shutting down")
        bound = asyncio.timeout(timeout_s)
        try:
            async with bound:
                message = request if isinstance(request, Message) else await request()
                reply = await endpoint.implementation(message, call)
        except TimeoutError:
            if bound.expired():
                raise deadline_exceeded(timeout_s) from None
            raise
        if isinstance(reply, Message):
            return Reply(reply.SerializeToString(), {})
        return reply

    def _leave(self) -> None:
        self._in_flight -= 1
        if self._idle is not None and not self._in_flight:
            self._idle.set()

    def _timeout(self, metadata: Mapping[str, str], timeout_s: float | None) -> float:
        bounds = [self._max_timeout_s]
        if timeout_s is not None:
            bounds.append(timeout_s)
        if (text := metadata.get("x-request-timeout")) is not None:
            bounds.append(_seconds(text))
        if len(bounds) == 1:
            bounds.append(self._default_timeout_s)
        if (bound := min(bounds)) <= 0:
            raise deadline_exceeded(0)
        return bound


class _Metrics:
    """Request counters. Label children are kept: looking them up costs more than counting."""

    def __init__(self, registry: CollectorRegistry) -> None:
        requests = Counter(
            "sie_gateway_requests_total",
            "Calls by rpc, HTTP status (also for gRPC) and machine profile",
            ["endpoint", "status", "machine_profile"],
            registry=registry,
        )
        latency = Histogram(
            "sie_gateway_request_latency_seconds",
            "Time from arrival to the reply",
            ["endpoint", "machine_profile"],
            buckets=_LATENCY_BUCKETS_S,
            registry=registry,
        )
        self._requests = functools.cache(requests.labels)
        self._latency = functools.cache(latency.labels)

    def count(self, endpoint: str, status: int, profile: str, elapsed_s: float) -> None:
        self._requests(endpoint, str(status), profile).inc()
        self._latency(endpoint, profile).observe(elapsed_s)


def _failed(record: Record, reason: ErrorReason) -> None:
    record.status = spec_of(reason).http_status
    record.reason = code_of(reason)


def _describe(span: Span, record: Record) -> None:
    """Tells the span what the record knows, and the record under which trace it is found."""
    record.trace_id = span.headers()["traceparent"].split("-")[1]
    span.set(
        rpc__system="sie",
        sie__request_id=record.request_id,
        sie__tenant=record.tenant,
        sie__model=record.model,
        sie__items=record.items,
        sie__tokens=record.tokens,
    )


def _seconds(text: str) -> float:
    seconds = number_of(text)
    if seconds is None or seconds <= 0:
        raise invalid("x-request-timeout", "expected a number of seconds above 0")
    return seconds


def deadline_exceeded(timeout_s: float) -> SieError:
    return SieError(
        ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED,
        f"no result within {timeout_s:.3g} s",
        timeout_ms=round(timeout_s * 1000),
    )
