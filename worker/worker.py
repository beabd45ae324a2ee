"""A worker's parts, and their order from its first heartbeat to its last.

open_worker ─► serve: registry ─► pool ─► preload ─► ready, until the signal ─► finish
               lasting: heartbeats, acks, the broker's clock, until all is answered
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from prometheus_client import REGISTRY

from servicekit import broker
from servicekit.defaults import DEFAULT_POOL
from servicekit.payloads import open_payloads
from servicekit.probes import Probes
from servicekit.prompt_client import PromptClient
from servicekit.registry_view import RegistryView
from servicekit.settings import SettingsError
from servicekit.subjects import Lane
from servicekit.tracing import Tracer
from sie.worker.v1.worker_status_pb2 import WorkerState
from worker import metrics
from worker.batching.device import Device
from worker.busy import BusyShare
from worker.heartbeat import Heartbeat
from worker.hosting.host import ModelHost
from worker.hosting.loader import Loader
from worker.hosting.memory import HostMemory, default_budget
from worker.hosting.placement import Limits, Residence
from worker.machine import available_cores
from worker.membership import Membership
from worker.queue.broker_clock import BrokerClock
from worker.queue.cancellations import Cancellations
from worker.queue.intake import Intake
from worker.settings import Settings
from worker.sources import ClusterCache, HubSettings, Locator
from worker.start_clock import StartClock

log = logging.getLogger(__name__)

_TICK_S = 1.0
_EXIT_STUCK = 70


@dataclass(frozen=True)
class Worker:
    """The parts of a worker.

    Args:
        client: connection to the broker.
        clock: the broker's.
        view: the registry.
        host: the models.
        heartbeat: what tells the cluster.
        membership: which pool's work it does.
        preload: ids of the models to load before it is ready.
        start: measures how it gets ready.

    """

    client: PromptClient
    clock: BrokerClock
    view: RegistryView
    host: ModelHost
    heartbeat: Heartbeat
    membership: Membership
    preload: Sequence[str]
    start: StartClock

    def not_ready(self) -> list[str]:
        """Return what keeps it from serving, each as a sentence."""
        reasons = [] if self.client.is_connected else ["the broker is not connected"]
        if self.heartbeat.state != WorkerState.WORKER_STATE_READY:
            name = WorkerState.Name(self.heartbeat.state).removeprefix("WORKER_STATE_")
            reasons.append(f"the worker is {name.lower()}")
        return reasons + self.host.unhealthy()

    def not_live(self) -> list[str]:
        """Return why only a new process can help, each reason as a sentence."""
        return ["an engine answers no more"] if self.host.stuck() else []

    def lasting(self) -> list[Coroutine[None, None, None]]:
        """Return what goes on until nothing is in hand any more."""
        return [self.clock.run(), self.heartbeat.run(), self._tick()]

    async def serve(self) -> None:
        """Follow the registry, take offers and be ready, until cancelled."""
        await self.view.loaded()
        try:
            await self.membership.start()
            self.start.passed("registry")
            async with asyncio.TaskGroup() as group:
                for work in (self.membership.run(), self._reconcile(), self._become_ready()):
                    group.create_task(work)
        finally:
            await self.membership.leave()

    async def finish(self) -> None:
        """Tell the cluster to send no more work here, answer what is in hand, let models go."""
        self.heartbeat.set_state(WorkerState.WORKER_STATE_DRAINING)
        await self.heartbeat.beat()
        await self.host.close()

    async def _become_ready(self) -> None:
        for model_id in self.preload:
            if model_id in self.view.models:
                self.host.adopt(self.view.models[model_id])
            else:
                log.warning(
                    "cannot preload an unknown model", extra={"fields": {"model": model_id}}
                )
        await asyncio.gather(*map(self.host.wait_for, self.preload))
        self.start.passed("preload")
        self.heartbeat.set_state(WorkerState.WORKER_STATE_READY)
        log.info("worker ready")

    async def _reconcile(self) -> None:
        changed = asyncio.Event()
        self.view.subscribe(lambda _: changed.set())
        while True:
            await changed.wait()
            changed.clear()
            await self.host.reconcile(self.view.models)

    async def _tick(self) -> None:
        while True:
            await self.host.tick()
            if self.host.stuck():
                log.critical("an engine answers no more; leaving so that another process can serve")
                self.heartbeat.set_state(WorkerState.WORKER_STATE_FAILED)
                await self.heartbeat.beat()
                os._exit(_EXIT_STUCK)
            await asyncio.sleep(_TICK_S)


@asynccontextmanager
async def open_worker(
    settings: Settings, tracer: Tracer, start: StartClock
) -> AsyncIterator[Worker]:
    """Connect to everything; wait for the broker, and not for the config service."""

    async def on_reconnect() -> None:
        host.on_reconnect()

    check_cache(settings.cache_dir)
    name = f"worker/{settings.worker_id}"
    lane = Lane(settings.pool or DEFAULT_POOL, settings.machine_profile, settings.bundle)
    async with AsyncExitStack() as stack:
        client = await broker.connect(settings.nats_url, name, on_reconnect=on_reconnect)
        stack.push_async_callback(broker.disconnect, client)
        metrics.broker_connected.set_function(lambda: client.is_connected)
        view = await stack.enter_async_context(
            RegistryView(settings.config_address, settings.state_dir, name)
        )
        cancellations = Cancellations()
        await cancellations.follow(client, lane)
        clock = BrokerClock(client)
        await clock.ask()
        start.passed("connect")
        payloads = open_payloads(settings.payload_store, client)
        intake = Intake(cancellations, payloads, clock, tracer)
        device, changed = Device(available_cores()), asyncio.Event()
        host = _host(settings, client, lane, changed.set, device, intake)
        heartbeat = _heartbeat(settings, client, lane, host, view, device, changed)
        membership = Membership(
            client,
            lane,
            settings.worker_id,
            host,
            heartbeat,
            view,
            dedicated=bool(settings.pool),
        )
        worker = Worker(
            client, clock, view, host, heartbeat, membership, settings.preload_models, start
        )
        await stack.enter_async_context(
            Probes(
                settings.host,
                settings.http_port,
                live=worker.not_live,
                ready=worker.not_ready,
                metrics=REGISTRY,
            )
        )
        yield worker


def check_cache(directory: Path) -> None:
    """Raise SettingsError if there can be no such directory, rather than fail every model."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"SIE_CACHE_DIR={str(directory)!r}: cannot be made: {error.strerror}"
        raise SettingsError(problem) from None
    if not os.access(directory, os.W_OK):
        # What is in it already can be used.
        log.warning("cache cannot be written", extra={"fields": {"directory": directory}})


def _host(
    settings: Settings,
    client: PromptClient,
    lane: Lane,
    on_change: Callable[[], None],
    device: Device,
    intake: Intake,
) -> ModelHost:
    memory = HostMemory()
    budget = settings.memory_bytes or default_budget(memory)
    metrics.memory_budget_bytes.set(budget)
    hub = HubSettings(settings.hub_endpoint.rstrip("/"), settings.hub_token, settings.hub_offline)
    cluster_cache = ClusterCache(settings.cluster_cache) if settings.cluster_cache else None
    locator = Locator(settings.cache_dir, hub, cluster_cache)
    return ModelHost(
        client,
        lane,
        settings.worker_id,
        Loader(settings.cache_dir, locator, memory, settings.engine, settings.layout),
        device,
        Residence(
            Limits(budget, settings.min_residence_s),
            frozenset(settings.preload_models),
            settings.idle_evict_s,
        ),
        on_change,
        intake,
    )


def _heartbeat(
    settings: Settings,
    client: PromptClient,
    lane: Lane,
    host: ModelHost,
    view: RegistryView,
    device: Device,
    changed: asyncio.Event,
) -> Heartbeat:
    busy = BusyShare(settings.busy_over_s)
    return Heartbeat(
        client,
        lane,
        settings.worker_id,
        version("sie"),
        host.describe,
        lambda: view.revision,
        lambda: busy.share(device.busy_s(), time.monotonic()),
        changed,
        dedicated=bool(settings.pool),
    )
