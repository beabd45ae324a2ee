"""Spans of OpenTelemetry's SDK, which samples, batches and sends them in a thread of its own."""

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from servicekit.errors import SieError, code_of
from servicekit.tracing import Span, Tracer, Value

_CLOSE_S = 3.0


class OtlpTracer(Tracer):
    """Spans of OpenTelemetry's SDK."""

    def __init__(self, service: str, instance: str, version: str) -> None:
        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES go before what is given here.
        names = {"service.name": service, "service.instance.id": instance}
        told = Resource.create({}).attributes
        given = {key: value for key, value in names.items() if _unknown(told, key)}
        resource = Resource.create({**given, "service.version": version})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("sie", version)
        self._propagator = TraceContextTextMapPropagator()

    def begin(
        self, name: str, kind: str, carrier: Mapping[str, str], start_s: float | None = None
    ) -> Span:
        context = self._propagator.extract(carrier)
        return _OtlpSpan(self, context, name, kind, start_s)

    def start(self, context: Any, name: str, kind: str, start_s: float | None) -> Any:
        return self._tracer.start_span(
            name, context, SpanKind[kind.upper()], start_time=_nanoseconds(start_s)
        )

    def inject(self, context: Any) -> dict[str, str]:
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, context)
        return carrier

    def close(self) -> None:
        # In a thread: a collector that does not answer must not hold the process up.
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(_CLOSE_S)


class _OtlpSpan:
    def __init__(
        self, tracer: OtlpTracer, context: Any, name: str, kind: str, start_s: float | None
    ) -> None:
        self._tracer = tracer
        self._span = tracer.start(context, name, kind, start_s)

    @property
    def recording(self) -> bool:
        return bool(self._span.is_recording())

    def set(self, **attributes: Value) -> None:
        for name, value in attributes.items():
            self._span.set_attribute(name.replace("__", "."), value)

    def child(self, name: str, kind: str = "internal", start_s: float | None = None) -> Span:
        if not self.recording:
            return self
        return _OtlpSpan(self._tracer, self._context(), name, kind, start_s)

    def headers(self) -> dict[str, str]:
        return self._tracer.inject(self._context())

    def fail(self, reason: str) -> None:
        self._span.set_attribute("error.type", reason)
        self._span.set_status(Status(StatusCode.ERROR))

    def end(self, end_s: float | None = None) -> None:
        self._span.end(_nanoseconds(end_s))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, SieError):
            self.fail(code_of(error.reason))
        elif error is not None:
            self.fail(type(error).__name__)
        self.end()

    def _context(self) -> Any:
        return set_span_in_context(self._span)


def _unknown(attributes: Mapping[str, Any], key: str) -> bool:
    # The SDK makes up a name where it was given none.
    return str(attributes.get(key, "unknown_service")).startswith("unknown_service")


def _nanoseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1e9)
