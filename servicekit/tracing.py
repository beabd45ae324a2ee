"""Traces: spans of one request over processes, exported by OTLP over HTTP; off by default.

    traceparent of the caller ──► gateway: request ─┬─ publish ─┐        W3C Trace Context in the
                                                    └─ wait     │        message's headers
                                            worker: process ◄───┘
                                                     └ tokenise, batch wait, engine run, reply

Off, every span is `NO_SPAN`, which does nothing, and OpenTelemetry need not be installed. On,
its SDK samples, batches and sends in a thread of its own, as the standard `OTEL_*` variables say;
a collector that is away costs spans, never requests.
"""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from servicekit.settings import SettingsError, setting

_PROTOCOL = "http/protobuf"

Value = str | int | float | bool


class Span(Protocol):
    """One timed step of a request; as a context, it ends with its block, failed if that raises."""

    @property
    def recording(self) -> bool:
        """Whether anybody will see it; what is dear to tell is told only then."""

    def set(self, **attributes: Value) -> None:
        """Attributes; a double underscore in a name stands for a dot."""

    def child(self, name: str, kind: str = "internal", start_s: float | None = None) -> "Span":
        """A step within this one.

        Args:
            name: of the step.
            kind: `internal`, `producer` or `consumer`.
            start_s: seconds since 1970 UTC, where it began earlier.
        """

    def headers(self) -> dict[str, str]:
        """What tells another process of this span."""

    def fail(self, reason: str) -> None:
        """Marks the step as failed, for a reason by its code."""

    def end(self, end_s: float | None = None) -> None:
        """Ends it, at seconds since 1970 UTC or at this moment."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class _NoSpan:
    """The span of a request that nobody traces."""

    recording = False

    def set(self, **attributes: Value) -> None:
        pass

    def child(self, name: str, kind: str = "internal", start_s: float | None = None) -> Span:
        return self

    def headers(self) -> dict[str, str]:
        return {}

    def fail(self, reason: str) -> None:
        pass

    def end(self, end_s: float | None = None) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass


NO_SPAN: Span = _NoSpan()


class Tracer:
    """Begins traces, or goes on with those of callers. This one is off."""

    def begin(
        self, name: str, kind: str, carrier: Mapping[str, str], start_s: float | None = None
    ) -> Span:
        """The first span of this process in a trace.

        Args:
            name: of the step.
            kind: `server` or `consumer`.
            carrier: headers, keys in lower case; `traceparent` and `tracestate` are read.
            start_s: seconds since 1970 UTC, where it began earlier.
        """
        return NO_SPAN

    def close(self) -> None:
        """Sends what is left, for a few seconds at most."""


@dataclass(frozen=True)
class TracingSettings:
    """The standard variables that decide whether there are traces.

    The SDK reads the others itself: sampling, headers and certificates of the collector, names.
    """

    otlp_endpoint: str = setting("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    otlp_traces_endpoint: str = setting("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
    otlp_protocol: str = setting("OTEL_EXPORTER_OTLP_PROTOCOL", _PROTOCOL)
    otel_disabled: bool = setting("OTEL_SDK_DISABLED", False)


def open_tracer(settings: TracingSettings, service: str, instance: str, version: str) -> Tracer:
    """The tracer of a process; off without an endpoint.

    Args:
        settings: as its environment has them.
        service: the name of the service, unless OTEL_SERVICE_NAME gives another.
        instance: which process of it.
        version: of the software.

    Raises:
        SettingsError: it cannot be done.
    """
    endpoint = settings.otlp_traces_endpoint or settings.otlp_endpoint
    if not endpoint or settings.otel_disabled:
        return Tracer()
    if settings.otlp_protocol != _PROTOCOL:
        raise SettingsError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL={settings.otlp_protocol!r}: expected {_PROTOCOL}"
        )
    if importlib.util.find_spec("opentelemetry") is None:
        raise SettingsError("OTEL_EXPORTER_OTLP_ENDPOINT needs `pip install sie[tracing]`")
    # Only here: it is not installed everywhere.
    from servicekit.otlp_tracer import OtlpTracer  # noqa: PLC0415

    return OtlpTracer(service, instance, version)
