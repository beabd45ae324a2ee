"""Calls as gRPC messages, and what comes back as replies or failures."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from sie_sdk._core.failure import Failure, Kind, invalid
from sie_sdk._core.rpcs import Call, Reply, Rpc
from sie_sdk._core.settings import Settings
from sie_sdk._grpc.convert import FieldError, to_message, to_value
from sie_sdk._grpc.reasons import HTTP_STATUS
from sie_sdk._grpc.schema import message_class, method_of
from sie_sdk._version import VERSION

_DOMAIN = "sie"
Code = grpc.StatusCode
# For answers that do not name a reason: from a proxy, or from the library itself.
_STATUS_OF = {
    Code.INVALID_ARGUMENT: 400,
    Code.UNAUTHENTICATED: 401,
    Code.PERMISSION_DENIED: 403,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.ABORTED: 409,
    Code.FAILED_PRECONDITION: 400,
    Code.OUT_OF_RANGE: 400,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.CANCELLED: 499,
    Code.UNIMPLEMENTED: 501,
}
# How the library words what waiting does not mend.
_LASTING = ("certificate", "handshake", "domain name not found", "permission denied")


class Method(NamedTuple):
    """What a channel needs to know of an rpc."""

    path: str
    serialise: Callable[[Mapping[str, Any]], bytes]
    parse: Callable[[bytes], dict[str, Any]]


@functools.cache
def method(rpc: Rpc) -> Method:
    """The rpc, taking and giving values as JSON has them."""
    found = method_of(rpc)
    response_class = message_class(found.output_type.full_name)

    def serialise(value: Mapping[str, Any]) -> bytes:
        try:
            message = to_message(value, found.input_type)
        except FieldError as error:
            raise invalid(error.path, error.problem) from None
        return message.SerializeToString()  # type: ignore[no-any-return]

    def parse(body: bytes) -> dict[str, Any]:
        return to_value(response_class.FromString(body))

    return Method(f"/{found.containing_service.full_name}/{found.name}", serialise, parse)


def metadata_of(call: Call, settings: Settings) -> list[tuple[str, str]]:
    """Metadata of a call."""
    metadata = {"x-sie-sdk-version": VERSION, **settings.headers, **call.headers}
    if settings.api_key:
        metadata["authorization"] = f"Bearer {settings.api_key}"
    return list(metadata.items())


def reply_of(rpc: Rpc, body: bytes, trailing: Sequence[tuple[str, Any]] | None) -> Reply | Failure:
    """What a successful call gave."""
    try:
        value = method(rpc).parse(body)
    except (DecodeError, ValueError) as error:
        return Failure(Kind.UNREADABLE, f"the reply cannot be read: {error}", 200)
    headers = {key: each for key, each in trailing or () if isinstance(each, str)}
    return Reply(value[rpc.response_field] if rpc.response_field else value, headers)


def failure_of(error: Any) -> Failure:
    """What a grpc.RpcError says."""
    message = error.details() or error.code().name
    info, retry, request = _details(error)
    if info.domain == _DOMAIN and info.reason in HTTP_STATUS:
        seconds = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
        return Failure(
            Kind.ANSWER,
            message,
            status=HTTP_STATUS[info.reason],
            code=info.reason,
            retry_after_s=seconds or None,
            metadata=dict(info.metadata),
            request_id=request.request_id,
        )
    code = error.code()
    if code is Code.DEADLINE_EXCEEDED:
        return Failure(Kind.TIMEOUT, f"no answer in time: {message}")
    if code is Code.UNAVAILABLE:
        lasting = any(words in message.lower() for words in _LASTING)
        return Failure(Kind.UNREACHABLE if lasting else Kind.CONNECTION, message)
    return Failure(Kind.ANSWER, message, status=_STATUS_OF.get(code, 500))


def _details(error: Any) -> tuple[Any, Any, Any]:
    details = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.RetryInfo(),
        error_details_pb2.RequestInfo(),
    )
    try:
        status = rpc_status.from_call(error)
    except (ValueError, DecodeError):
        status = None
    for packed in status.details if status is not None else ():
        _ = any(packed.Unpack(detail) for detail in details)
    return details
