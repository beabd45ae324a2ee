"""What can be called: an rpc, what its implementation is given, and what it gives."""

import functools
import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from gateway.access_log import Record
from gateway.auth.guard import Access, Admission, access_of
from gateway.auth.principal import Principal
from servicekit.errors import SieError
from servicekit.tracing import NO_SPAN, Span
from sie.errors.v1.error_reason_pb2 import ErrorReason


@dataclass(frozen=True, slots=True)
class Call:
    """What an implementation knows of a call beside its request message.

    Args:
        request_id: the caller's, or a new one.
        deadline: seconds since 1970 UTC.
        metadata: gRPC metadata or HTTP headers, keys in lower case.
        arrived: `time.perf_counter()` when the call came in.
        admission: who calls, and the account of what the call takes.
        record: what the access log will say.
        span: the call in its trace.
    """

    request_id: str
    deadline: float
    metadata: Mapping[str, str]
    arrived: float
    admission: Admission
    record: Record
    span: Span = NO_SPAN

    @property
    def principal(self) -> Principal:
        return self.admission.principal


class Reply(NamedTuple):
    """A response message as bytes, and headers (gRPC: trailing metadata) to go with it."""

    body: bytes
    headers: dict[str, str]


Implementation = Callable[[Message, Call], Awaitable["Reply | Message"]]
# Reads the request; runs inside the pipeline, so that what it raises is counted.
Read = Callable[[], Awaitable[Message]]


@dataclass(frozen=True, slots=True, eq=False)
class Endpoint:
    """One unary rpc.

    Args:
        method: its descriptor.
        implementation: what answers it.
        path: its gRPC path, `/sie.inference.v1.InferenceService/Encode`.
        label: its metric label, `encode`.
        request_class: generated class of the request.
        response_class: generated class of the response.
        access: what it asks of the caller.
        http_status: of success.
    """

    method: MethodDescriptor
    implementation: Implementation
    path: str
    access: Access
    label: str
    request_class: type[Message]
    response_class: type[Message]
    http_status: int = 200


def endpoint_of(method: MethodDescriptor, service: object) -> Endpoint:
    """The endpoint of an rpc; one that the service has no method for says so when it is called."""
    return Endpoint(
        method,
        _implementation(service, method),
        path=f"/{method.containing_service.full_name}/{method.name}",
        access=access_of(method),
        label=snake_case(method.name),
        request_class=message_factory.GetMessageClass(method.input_type),
        response_class=message_factory.GetMessageClass(method.output_type),
        # An rpc that creates says so over HTTP (RFC 9110, 9.3.3).
        http_status=201 if method.name.startswith("Create") else 200,
    )


def snake_case(name: str) -> str:
    """`GetModel` -> `get_model`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _implementation(service: object, method: MethodDescriptor) -> Implementation:
    implementation: Any = getattr(service, snake_case(method.name), None)
    if implementation is None:
        return functools.partial(_not_implemented, method.full_name)
    assert inspect.iscoroutinefunction(implementation), f"{method.full_name} must be async"
    return implementation  # type: ignore[no-any-return]


async def _not_implemented(method: str, _request: Message, _call: Call) -> Reply:
    raise SieError(
        ErrorReason.ERROR_REASON_NOT_IMPLEMENTED,
        f"{method} is not provided by this server",
        method=method,
    )
