"""The connection to NATS that every service holds."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from nats.aio.client import Client

from servicekit.settings import without_credentials

log = logging.getLogger(__name__)

RECONNECT_WAIT_S = 0.25
# What may pile up for the broker while it is away, before publishing fails at once.
PENDING_BYTES = 8 * 1024 * 1024
# What may wait for the socket before publishers wait for it too.
_SOCKET_BYTES = 256 * 1024


class PromptClient(Client):
    """Writes what one turn of the event loop publishes at once, while the socket keeps up.

    The base class hands it to a task of its own, which costs a queue, a future and a turn of
    the event loop for each message. A write a message would wake the broker for each of them.
    """

    _gathering = False

    async def _flush_pending(self, force_flush: bool = False) -> Any:
        if force_flush or not self.is_connected or _congested(self._transport):
            return await super()._flush_pending(force_flush)
        if not self._gathering:
            self._gathering = True
            asyncio.get_running_loop().call_soon(self._write)
        return None

    def _write(self) -> None:
        self._gathering = False
        # What a lost connection leaves is sent by the next one.
        if self._pending and self.is_connected:
            transport: Any = self._transport
            transport.writelines(self._pending)
            self._pending = []
            self._pending_data_size = 0


def _congested(transport: Any) -> bool:
    stream = transport._io_writer  # noqa: SLF001 - the library has no name for it
    return stream is None or stream.transport.get_write_buffer_size() > _SOCKET_BYTES


async def connect(
    url: str,
    name: str,
    on_disconnect: Callable[[], Awaitable[None]] | None = None,
    on_reconnect: Callable[[], Awaitable[None]] | None = None,
) -> Client:
    """Connects, waits for the broker as long as it takes, and reconnects for ever.

    Args:
        url: `nats://host:port`, several separated by commas.
        name: shown by the broker's monitoring, such as `gateway/7f3a`.
        on_disconnect: called when the connection is lost.
        on_reconnect: called when it is back.
    """
    shown = without_credentials(url)

    async def disconnected() -> None:
        log.warning("broker connection lost", extra={"fields": {"url": shown}})
        if on_disconnect is not None:
            await on_disconnect()

    async def reconnected() -> None:
        log.info("broker connection restored", extra={"fields": {"url": shown}})
        if on_reconnect is not None:
            await on_reconnect()

    async def failed(error: Exception) -> None:
        log.warning("broker: %s", error or type(error).__name__)

    client = PromptClient()
    await client.connect(
        servers=url.split(","),
        name=name,
        allow_reconnect=True,
        max_reconnect_attempts=-1,
        # A fraction works as well: it is only slept.
        reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type]
        ping_interval=5,
        max_outstanding_pings=2,
        pending_size=PENDING_BYTES,
        disconnected_cb=disconnected,
        reconnected_cb=reconnected,
        error_cb=failed,
    )
    return client
