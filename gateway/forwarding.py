"""Services of the config service, offered at the edge: requests are passed on, replies come back.

Access, limits, deadlines and both wires are the pipeline's; here is only the way through.
"""

import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message

from gateway.api import Call, snake_case
from servicekit import grpc_client


def forwarder(service: ServiceDescriptor, stub: Any) -> SimpleNamespace:
    """An implementation of every unary rpc of a service that calls the same rpc of a stub."""
    methods = {
        snake_case(method.name): _forward(getattr(stub, method.name))
        for method in service.methods
        if not (method.client_streaming or method.server_streaming)
    }
    return SimpleNamespace(**methods)


def _forward(method: Callable[..., Any]) -> Callable[[Message, Call], Awaitable[Message]]:
    async def forward(request: Message, call: Call) -> Message:
        reply: Message = await grpc_client.call(method, request, call.deadline - time.time())
        return reply

    return forward
