"""The gRPC face: bytes to messages and outcomes to statuses, around `Api.call`.

Handlers take raw bytes: what does not parse then gets the same typed error as any other bad
input, instead of the library's own.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import grpc
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from gateway.access_log import Record
from gateway.api import Api
from gateway.endpoint import Endpoint
from gateway.metadata import Metadata
from gateway.request_id import REQUEST_ID_HEADER, request_id_of
from servicekit.errors import SieError, code_of, invalid
from servicekit.grpc_server import abort
from servicekit.registry_view import SERVER_VERSION
from sie.errors.v1.error_reason_pb2 import ErrorReason

M = TypeVar("M", bound=Message)


def handlers(
    api: Api, max_request_bytes: int, version: str
) -> list["grpc.GenericRpcHandler[Any, Any]"]:
    """Handlers of every endpoint, for `grpc.aio.Server.add_generic_rpc_handlers`.

    Args:
        api: where the calls go.
        max_request_bytes: larger requests get PAYLOAD_TOO_LARGE. The transport's own limit must
            be higher, since it can only cut the call off.
        version: told of with each reply.
    """
    services: dict[str, dict[str, grpc.RpcMethodHandler[Any, Any]]] = {}
    for endpoint in api.endpoints.values():
        methods = services.setdefault(endpoint.method.containing_service.full_name, {})
        methods[endpoint.method.name] = grpc.unary_unary_rpc_method_handler(
            _behaviour(api, endpoint, max_request_bytes, version)
        )
    return [
        grpc.method_handlers_generic_handler(service, methods)
        for service, methods in services.items()
    ]


def _behaviour(api: Api, endpoint: Endpoint, max_request_bytes: int, version: str) -> Any:
    async def behaviour(body: bytes, context: Any) -> bytes:
        metadata = metadata_of(context)
        request_id = request_id_of(metadata)
        record = Record(request_id, "GRPC", endpoint.path, bytes_in=len(body))

        async def read() -> Message:
            return parse(endpoint.request_class, body, max_request_bytes)

        try:
            metadata.check()
            reply = await api.call(endpoint, read, metadata, context.time_remaining(), record)
            record.bytes_out = len(reply.body)
        except SieError as error:
            await abort(context, error, request_id, error_trailers(error, request_id, version))
            raise  # abort does not return
        finally:
            api.access_log.write(record)
        # Trailing, since it travels with the status: initial metadata would be one more write.
        context.set_trailing_metadata((*reply.headers.items(), (SERVER_VERSION, version)))
        return reply.body

    return behaviour


def error_trailers(error: SieError, request_id: str, version: str) -> Sequence[tuple[str, str]]:
    """What HTTP says in headers of an error, for clients that do not read its details."""
    return (
        (REQUEST_ID_HEADER, request_id),
        ("x-sie-error-code", code_of(error.reason)),
        (SERVER_VERSION, version),
    )


def metadata_of(context: Any) -> Metadata:
    """A call's metadata, without binary entries."""
    return Metadata([(k, v) for k, v in context.invocation_metadata() if isinstance(v, str)])


def parse(request_class: type[M], body: bytes, max_request_bytes: int) -> M:
    """The message in `body`.

    Raises:
        SieError: it is too large, does not parse, or holds fields that we do not know.
    """
    if len(body) > max_request_bytes:
        raise SieError(
            ErrorReason.ERROR_REASON_PAYLOAD_TOO_LARGE,
            f"the request has {len(body)} bytes, the limit is {max_request_bytes}",
            limit_bytes=max_request_bytes,
        )
    try:
        message = request_class.FromString(body)
    except DecodeError:
        name = request_class.DESCRIPTOR.full_name
        raise invalid("body", f"not a {name}: broken encoding, or a string not in UTF-8") from None
    # Dropping unknown fields and comparing sizes is done in C; only a difference is walked.
    size = message.ByteSize()
    message.DiscardUnknownFields()
    if message.ByteSize() != size:
        raise _unknown_field(request_class.FromString(body))
    return message


def _unknown_field(message: Message) -> SieError:
    for path, number in _unknown_fields(message, ""):
        name = message.DESCRIPTOR.full_name
        field = path or "body"
        return invalid(field, f"no field has the number {number} here, in {name}")
    return invalid("body", "holds unknown fields")


def _unknown_fields(message: Message, path: str) -> Iterator[tuple[str, int]]:
    for unknown in UnknownFieldSet(message):  # type: ignore[attr-defined]
        yield path, unknown.field_number
    for field, value in message.ListFields():
        for name, child in _children(field, value):
            yield from _unknown_fields(child, f"{path}.{name}" if path else name)


def _children(field: FieldDescriptor, value: Any) -> Iterator[tuple[str, Message]]:
    if field.message_type is None:
        return
    if not field.is_repeated:
        yield field.name, value
    elif not field.message_type.GetOptions().map_entry:
        yield from ((f"{field.name}[{index}]", child) for index, child in enumerate(value))
    elif field.message_type.fields_by_name["value"].message_type is not None:
        yield from ((f"{field.name}.{key}", child) for key, child in value.items())
