"""Tells the cluster how this worker stands: every second, on every change, and when asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from google.protobuf.timestamp_pb2 import Timestamp
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from servicekit import subjects
from servicekit.subjects import Lane
from sie.worker.v1.worker_status_pb2 import Device, HostedModel, WorkerState, WorkerStatus
from worker.machine import memory_bytes, processor

log = logging.getLogger(__name__)

EVERY_S = 1.0


class Heartbeat:
    """Sends WorkerStatus.

    Args:
        client: connection to the broker.
        lane: the worker's first lane.
        worker_id: who beats.
        version: version of the software.
        models: entries for the worker's models.
        revision: the registry revision that the worker has applied.
        busy: the share of time in which the device lately computed, 0 to 1.
        changed: set by whoever wants a beat at once.
        dedicated: whether the worker never leaves its pool.

    """

    def __init__(
        self,
        client: Client,
        lane: Lane,
        worker_id: str,
        version: str,
        models: Callable[[], Sequence[HostedModel]],
        revision: Callable[[], int],
        busy: Callable[[], float],
        changed: asyncio.Event,
        *,
        dedicated: bool = False,
    ) -> None:
        self._nats = client
        self._subject = subjects.worker_status(worker_id)
        self._models = models
        self._revision = revision
        self._busy = busy
        self._changed = changed
        self._status = WorkerStatus(
            worker_id=worker_id,
            pool=lane.pool,
            machine_profile=lane.machine_profile,
            bundle=lane.bundle,
            state=WorkerState.WORKER_STATE_STARTING,
            version=version,
            dedicated=dedicated,
        )
        started = Timestamp()
        started.GetCurrentTime()
        self._status.started_at.CopyFrom(started)

    @property
    def state(self) -> WorkerState:
        return self._status.state

    def set_state(self, state: WorkerState) -> None:
        """Set where the worker stands, and tell at once."""
        self._status.state = state
        self._changed.set()

    def set_pool(self, pool: str) -> None:
        """Set which pool's work the worker pulls, and tell at once."""
        self._status.pool = pool
        self._changed.set()

    async def run(self) -> None:
        """Beat until cancelled."""

        async def on_ping(_: Msg) -> None:
            self._changed.set()

        await self._nats.subscribe(subjects.WORKER_PING, cb=on_ping)
        while True:
            self._changed.clear()
            await self.beat()
            try:
                async with asyncio.timeout(EVERY_S):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def beat(self) -> None:
        """Send one status now."""
        del self._status.models[:]
        self._status.models.extend(self._models())
        self._status.registry_revision = self._revision()
        self._status.busy = self._busy()
        del self._status.devices[:]
        self._status.devices.append(_cpu())
        self._status.sent_at.GetCurrentTime()
        try:
            await self._nats.publish(self._subject, self._status.SerializeToString())
        except NatsError as error:
            log.debug("heartbeat not sent: %s", error)


def _cpu() -> Device:
    total, available = memory_bytes()
    return Device(
        name=processor(),
        memory_total_bytes=total,
        memory_used_bytes=total - available,
    )
