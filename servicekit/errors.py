"""One exception for everything that can go wrong on purpose, and its two wire forms.

    raise SieError(MODEL_NOT_FOUND, "...", model=id)
        ├── gRPC   google.rpc.Status + ErrorInfo (+ BadRequest, RetryInfo)     status_of
        ├── JSON   {"error": {"code", "message", ...}, "detail": {...}}        json_of
        └── queue  sie.errors.v1.Error                                         proto_of

Code, HTTP status and retry meaning of a reason are options of its enum value in
`sie/errors/v1/error_reason.proto`; nothing here repeats them. Handlers raise; only the
edges build statuses. Anything that is not a SieError becomes INTERNAL_ERROR with a bland
text: the detail is for the log.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any, cast

from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from sie.errors.v1 import error_pb2, error_spec_pb2
from sie.errors.v1.error_reason_pb2 import ErrorReason

DOMAIN = "sie"

# A caller that is told to come back without a better estimate waits this long.
DEFAULT_RETRY_AFTER_S = 1.0


# Bytes. A gRPC status travels in trailers, which clients refuse from 8 KB on, and holds the
# message three times; callers' own names must not push it over.
_LONGEST_MESSAGE = 700
_LONGEST_VALUE = 1000

_KNOWN = frozenset(ErrorReason.values()) - {ErrorReason.ERROR_REASON_UNSPECIFIED}


class SieError(Exception):
    """A failure with a reason that callers can act on.

    Args:
        reason: value of sie.errors.v1.ErrorReason.
        message: a sentence for a person, without text of the caller's items.
        retry_after_s: when to try again; retryable reasons get a default.
        metadata: the values behind the message, under the keys the reason declares.
    """

    def __init__(
        self,
        reason: ErrorReason,
        message: str,
        *,
        retry_after_s: float | None = None,
        **metadata: object,
    ) -> None:
        message = _cut(message, _LONGEST_MESSAGE)
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = {key: _cut(str(value), _LONGEST_VALUE) for key, value in metadata.items()}
        if retry_after_s is None and spec_of(reason).retryable:
            retry_after_s = DEFAULT_RETRY_AFTER_S
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{code_of(self.reason)}: {self.message}"


def invalid(field: str, problem: str) -> SieError:
    """The caller broke a rule of `field`, a path such as `items[3].text`."""
    return SieError(ErrorReason.ERROR_REASON_INVALID_INPUT, f"{field}: {problem}", field=field)


def internal() -> SieError:
    """What a caller sees of a defect of ours."""
    return SieError(
        ErrorReason.ERROR_REASON_INTERNAL_ERROR,
        "internal error; the server's log has the details under this request's id",
    )


@functools.cache
def spec_of(reason: ErrorReason) -> error_spec_pb2.ErrorSpec:
    """Status code, HTTP status, retry meaning and metadata keys of a reason."""
    value = ErrorReason.DESCRIPTOR.values_by_number[reason]
    options: Any = value.GetOptions()
    return options.Extensions[error_spec_pb2.spec]  # type: ignore[no-any-return]


@functools.cache
def code_of(reason: ErrorReason) -> str:
    """The reason as callers see it, such as `MODEL_NOT_FOUND`."""
    return ErrorReason.Name(reason).removeprefix("ERROR_REASON_")


def proto_of(error: SieError) -> error_pb2.Error:
    """The form that travels inside replies."""
    message = error_pb2.Error(reason=error.reason, message=error.message, metadata=error.metadata)
    if error.retry_after_s is not None:
        message.retry_after.CopyFrom(_duration(error.retry_after_s))
    return message


def from_proto(message: error_pb2.Error) -> SieError:
    """The exception that `proto_of` was made from; INTERNAL_ERROR for a reason not known here."""
    if message.reason not in _KNOWN:
        # Of a process of a later version, say.
        return SieError(ErrorReason.ERROR_REASON_INTERNAL_ERROR, message.message)
    seconds = None
    if message.HasField("retry_after"):
        seconds = message.retry_after.seconds + message.retry_after.nanos / 1e9
    return SieError(
        message.reason, message.message, retry_after_s=seconds, **dict(message.metadata)
    )


def status_of(error: SieError, request_id: str = "") -> status_pb2.Status:
    """google.rpc.Status with at most one detail of each type (AIP-193)."""
    details: list[Any] = [
        error_details_pb2.ErrorInfo(
            reason=code_of(error.reason), domain=DOMAIN, metadata=error.metadata
        )
    ]
    if field := error.metadata.get("field"):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=field, description=error.message
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if tenant := error.metadata.get("tenant"):
        exceeded = error_details_pb2.QuotaFailure.Violation(
            subject=f"tenant:{tenant}", description=error.message
        )
        details.append(error_details_pb2.QuotaFailure(violations=[exceeded]))
    if error.retry_after_s is not None:
        details.append(error_details_pb2.RetryInfo(retry_delay=_duration(error.retry_after_s)))
    if request_id:
        details.append(error_details_pb2.RequestInfo(request_id=request_id))
    status = status_pb2.Status(code=spec_of(error.reason).code, message=error.message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def from_status(status: status_pb2.Status) -> SieError:
    """The exception behind a status that `status_of` made; INTERNAL_ERROR for any other."""
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status.details:
        _ = detail.Unpack(info) or detail.Unpack(retry)
    name = f"ERROR_REASON_{info.reason}"
    if info.domain != DOMAIN or name not in ErrorReason.DESCRIPTOR.values_by_name:
        return internal()
    seconds = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    return SieError(
        cast("ErrorReason", ErrorReason.Value(name)),
        status.message,
        retry_after_s=seconds or None,
        **dict(info.metadata),
    )


def json_of(error: SieError, request_id: str = "") -> dict[str, Any]:
    """The JSON body. Clients of this field read `error` or `detail`; both say the same."""
    body: dict[str, Any] = {"code": code_of(error.reason), "message": error.message}
    if error.metadata:
        body["metadata"] = error.metadata
    if error.retry_after_s is not None:
        body["retry_after_s"] = error.retry_after_s
    if request_id:
        body["request_id"] = request_id
    return {"error": body, "detail": {"code": body["code"], "message": error.message}}


def http_headers_of(error: SieError) -> Mapping[str, str]:
    """Headers beside the JSON body. Retry-After is whole seconds, at least 1 (RFC 9110)."""
    headers = {"x-sie-error-code": code_of(error.reason)}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after_s)))
    if error.reason == ErrorReason.ERROR_REASON_UNAUTHENTICATED:
        headers["www-authenticate"] = "Bearer"
    return headers


def _cut(text: str, most_bytes: int) -> str:
    raw = text.encode(errors="replace")
    if len(raw) <= most_bytes:
        return raw.decode()
    return raw[: most_bytes - 3].decode(errors="ignore") + "…"


def _duration(seconds: float) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration
