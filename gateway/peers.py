"""The gateways of the cluster, known to each other by heartbeats."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from google.protobuf.message import DecodeError
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from servicekit import subjects
from sie.gateway.v1.gateway_status_pb2 import GatewayStatus

log = logging.getLogger(__name__)

EVERY_S = 2.0
STALE_AFTER_S = 10.0
# Changes of the registry come in bursts; one beat tells of each of those.
_GATHER_S = 0.1


class Peers:
    """Beats for this gateway, and hears the others.

    Args:
        client: connection to the broker.
        gateway_id: this gateway.
        version: of its software.
        revision: the registry revision that this gateway has applied.
        clock: seconds, monotonic.
        wall_clock: seconds since 1970 UTC.
    """

    def __init__(
        self,
        client: Client,
        gateway_id: str,
        version: str,
        revision: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._revision = revision
        self._clock = clock
        self._wall_clock = wall_clock
        self._lags: dict[str, float] = {}
        self._own = GatewayStatus(gateway_id=gateway_id, version=version)
        self._own.started_at.GetCurrentTime()
        self._others: dict[str, tuple[float, GatewayStatus]] = {}
        self._due = asyncio.Event()

    def live(self) -> list[GatewayStatus]:
        """Gateways that were heard lately, and this one."""
        oldest = self._clock() - STALE_AFTER_S
        self._others = {key: entry for key, entry in self._others.items() if entry[0] >= oldest}
        self._lags = {key: lag for key, lag in self._lags.items() if key in self._others}
        return [self._status(), *(status for _, status in self._others.values())]

    def lag_s(self, gateway_id: str) -> float | None:
        """Seconds by which another gateway's clock is behind ours, its beat's way included."""
        return self._lags.get(gateway_id)

    def beat(self) -> None:
        """Asks for a beat soon: the registry has changed."""
        self._due.set()

    def update(self, subject: str, body: bytes) -> None:
        """Takes in a heartbeat, unless it is none or another gateway's than its subject says."""
        try:
            status = GatewayStatus.FromString(body)
        except DecodeError:
            status = GatewayStatus()
        if subject != subjects.gateway_status(status.gateway_id):
            log.warning("gateway heartbeat refused", extra={"fields": {"subject": subject}})
        elif status.gateway_id != self._own.gateway_id:
            self._others[status.gateway_id] = (self._clock(), status)
            if status.HasField("sent_at"):
                self._lags[status.gateway_id] = (
                    self._wall_clock() - status.sent_at.ToNanoseconds() / 1e9
                )

    async def run(self) -> None:
        """Beats until cancelled."""

        async def on_message(message: Msg) -> None:
            self.update(message.subject, message.data)

        await self._client.subscribe(subjects.GATEWAY_STATUS_WILDCARD, cb=on_message)
        while True:
            self._due.clear()
            await self._send()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await self._due.wait()
                    await asyncio.sleep(_GATHER_S)

    def _status(self) -> GatewayStatus:
        self._own.registry_revision = self._revision()
        self._own.sent_at.GetCurrentTime()
        return self._own

    async def _send(self) -> None:
        subject = subjects.gateway_status(self._own.gateway_id)
        try:
            await self._client.publish(subject, self._status().SerializeToString())
        except NatsError as error:
            log.debug("heartbeat not sent: %s", error)
