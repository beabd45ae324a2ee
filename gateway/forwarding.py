"""Calls that the config service answers: passed on as they are, and so are its errors.

    client ─► face ─► Api.call ─► Forwarder ─► config service
                         deadline, idempotency key and request id go with the call

Nothing is kept here, so any gateway will do, and a call that broke off is safe to repeat
under its idempotency key.
"""

import functools
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message

from gateway.endpoint import Call, Reply, snake_case
from gateway.request_id import REQUEST_ID_HEADER
from servicekit.grpc_client import failure_of
from servicekit.idempotency import IDEMPOTENCY_KEY, check_key


class Forwarder:
    """Every unary rpc of a service as a method for `Api`.

    Args:
        service: whose rpcs.
        channel: to the config service.
        catch_up: for writes; waits for this gateway to see a revision.
    """

    def __init__(
        self,
        service: ServiceDescriptor,
        channel: grpc.aio.Channel,
        catch_up: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        self._channel = channel
        self._catch_up = catch_up
        for method in service.methods:
            setattr(self, snake_case(method.name), functools.partial(self._forward, method))

    async def _forward(self, method: MethodDescriptor, request: Message, call: Call) -> Reply:
        path = f"/{method.containing_service.full_name}/{method.name}"
        metadata = [(REQUEST_ID_HEADER, call.request_id)]
        if (key := call.metadata.get(IDEMPOTENCY_KEY)) is not None:
            check_key(key)
            metadata.append((IDEMPOTENCY_KEY, key))
        rpc: Any = self._channel.unary_unary(path, None, None)
        try:
            body = await rpc(
                request.SerializeToString(),
                timeout=max(call.deadline - time.time(), 0.001),
                metadata=metadata,
            )
        except grpc.aio.AioRpcError as error:
            raise failure_of(error) from None
        if self._catch_up is not None:
            response: Any = message_factory.GetMessageClass(method.output_type).FromString(body)
            await self._catch_up(response.revision)
        return Reply(body, {})
