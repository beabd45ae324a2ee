"""The connection to NATS that every service holds."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from nats.errors import Error as NatsError

from servicekit.prompt_client import PromptClient
from servicekit.settings import without_credentials

log = logging.getLogger(__name__)

RECONNECT_WAIT_S = 0.25
# What may pile up for the broker while it is away, before publishing fails at once.
PENDING_BYTES = 8 * 1024 * 1024


async def connect(
    url: str,
    name: str,
    on_disconnect: Callable[[], Awaitable[None]] | None = None,
    on_reconnect: Callable[[], Awaitable[None]] | None = None,
) -> PromptClient:
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


async def disconnect(client: PromptClient) -> None:
    """Ends a connection: after what was received and published, unless the broker is away."""
    with suppress(NatsError):
        if client.is_connected:
            await client.drain()
            return
    await client.close()
