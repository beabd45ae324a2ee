"""Sends calls over gRPC: once blocking, once with asyncio, both over the same wire."""

from typing import Any

import grpc
import grpc.aio

from sie_sdk._core.failure import Failure
from sie_sdk._core.rpcs import Call, Reply
from sie_sdk._core.settings import Settings, Tls
from sie_sdk._grpc.wire import failure_of, metadata_of, method, reply_of


class GrpcTransport:
    """Blocking; may be used from many threads.

    Args:
        settings: of the client.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._channel: Any = (
            grpc.secure_channel(settings.host, _credentials(settings.tls), _options(settings))
            if _is_secure(settings)
            else grpc.insecure_channel(settings.host, _options(settings))
        )

    def send(self, call: Call, timeout_s: float) -> Reply | Failure:
        described = method(call.rpc)
        send = self._channel.unary_unary(described.path)
        try:
            body, done = send.with_call(
                described.serialise(call.message),
                timeout=timeout_s,
                metadata=metadata_of(call, self._settings),
            )
        except grpc.RpcError as error:
            return failure_of(error)
        return reply_of(call.rpc, body, done.trailing_metadata())

    def close(self) -> None:
        self._channel.close()


class AsyncGrpcTransport:
    """The same with asyncio.

    Args:
        settings: of the client.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # Opened by the first call, since it belongs to the loop that runs then.
        self._channel: Any = None

    async def send(self, call: Call, timeout_s: float) -> Reply | Failure:
        described = method(call.rpc)
        self._channel = self._channel or self._open()
        send = self._channel.unary_unary(described.path)
        done = send(
            described.serialise(call.message),
            timeout=timeout_s,
            metadata=metadata_of(call, self._settings),
        )
        try:
            body = await done
            trailing = await done.trailing_metadata()
        except grpc.RpcError as error:
            return failure_of(error)
        return reply_of(call.rpc, body, trailing)

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close(None)

    def _open(self) -> Any:
        settings = self._settings
        if _is_secure(settings):
            return grpc.aio.secure_channel(
                settings.host, _credentials(settings.tls), _options(settings)
            )
        return grpc.aio.insecure_channel(settings.host, _options(settings))


def _is_secure(settings: Settings) -> bool:
    return settings.url.startswith("grpcs://")


def _options(settings: Settings) -> list[tuple[str, Any]]:
    return [
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        ("grpc.enable_http_proxy", int(settings.uses_proxies)),
    ]


def _credentials(tls: Tls) -> grpc.ChannelCredentials:
    read = [
        None if file is None else file.read_bytes() for file in (tls.ca, tls.key, tls.certificate)
    ]
    return grpc.ssl_channel_credentials(*read)
