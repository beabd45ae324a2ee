"""Calls from one service to another."""

from collections.abc import Callable
from typing import Any, cast

import grpc
from grpc_status import rpc_status

from servicekit.errors import SieError, from_status
from sie.errors.v1.error_reason_pb2 import ErrorReason

_RETRY_AFTER_S = 2.0

_OPTIONS = [
    # A registry may be exported, and imported.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    # Somebody waits for the answer: a service that is back is found within a second.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
]


def channel(address: str) -> grpc.aio.Channel:
    """A channel to a service at `host:port`."""
    return grpc.aio.insecure_channel(address, options=_OPTIONS)


async def call(method: Callable[..., Any], request: Any, timeout_s: float) -> Any:
    """Calls a method of a stub of the config service.

    Raises:
        SieError: as `failure_of` says.
    """
    try:
        return await method(request, timeout=timeout_s)
    except grpc.aio.AioRpcError as error:
        raise failure_of(error) from None


def failure_of(error: grpc.aio.AioRpcError) -> SieError:
    """What the config service answered, or why it did not."""
    status = rpc_status.from_call(cast("grpc.Call", error))
    if status is not None and status.details:
        return from_status(status)
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        problem = "the config service has not answered in time"
        return SieError(ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED, problem)
    return SieError(
        ErrorReason.ERROR_REASON_REGISTRY_UNAVAILABLE,
        f"the config service cannot be reached ({error.code().name}); reads of the present "
        "registry still work",
        retry_after_s=_RETRY_AFTER_S,
    )
