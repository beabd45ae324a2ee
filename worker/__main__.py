"""Starts a worker: pulls work of its lane and computes it.

python -m worker        settings come from SIE_* variables, see Settings
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import uvloop
from nats.aio.client import Client
from prometheus_client import REGISTRY

from servicekit import broker, logs
from servicekit.defaults import DEFAULT_POOL
from servicekit.lifecycle import until_signal
from servicekit.payloads import JETSTREAM, open_payloads
from servicekit.probes import Probes
from servicekit.registry_view import RegistryView
from servicekit.settings import describe, from_environment, setting
from servicekit.subjects import Lane
from servicekit.tracing import Tracer, TracingSettings, open_tracer
from sie.worker.v1.worker_status_pb2 import WorkerState
from worker import metrics
from worker.broker_clock import BrokerClock
from worker.busy import BusyShare
from worker.cancellations import Cancellations
from worker.device import Device
from worker.engines.sessions import available_cores
from worker.heartbeat import Heartbeat
from worker.hosting import ModelHost
from worker.intake import Intake
from worker.layout import LayoutSetting
from worker.loader import Loader
from worker.membership import Membership
from worker.memory import HostMemory, default_budget
from worker.placement import Limits, Residence
from worker.sources import ClusterCache, HubSettings, Locator

log = logging.getLogger("worker")

_TICK_S = 1.0
_EXIT_STUCK = 70


@dataclass(frozen=True)
class Settings(TracingSettings):
    """What a worker is told by its environment."""

    nats_url: str = setting("SIE_NATS_URL", "nats://127.0.0.1:4222")
    config_address: str = setting("SIE_CONFIG_ADDRESS", "127.0.0.1:9091")
    worker_id: str = setting("SIE_WORKER_ID", f"{socket.gethostname()}-{os.getpid()}")
    # A worker with a pool of its own stays there; others go where the registry assigns them.
    pool: str = setting("SIE_POOL", "")
    machine_profile: str = setting("SIE_MACHINE_PROFILE", "cpu")
    bundle: str = setting("SIE_BUNDLE", "default")
    preload_models: tuple[str, ...] = setting("SIE_PRELOAD_MODELS", ())
    engine: str = setting("SIE_ENGINE", "auto")
    # Whether texts share rows: auto, padded or packed.
    layout: LayoutSetting = setting("SIE_LAYOUT", LayoutSetting.AUTO)
    cache_dir: Path = setting("SIE_CACHE_DIR", Path("~/.cache/sie").expanduser())
    # What all models together may take. 0: a share of what is available.
    memory_bytes: int = setting("SIE_MEMORY_BYTES", 0)
    # A model in demand is not evicted earlier.
    min_residence_s: float = setting("SIE_MIN_RESIDENCE_S", 10.0)
    # A model that nobody used for so long is let go. 0: never.
    idle_evict_s: float = setting("SIE_IDLE_EVICT_S", 0.0)
    # Over how many seconds a worker says how busy it was.
    busy_over_s: float = setting("SIE_BUSY_OVER_S", 15.0)
    hub_endpoint: str = setting("HF_ENDPOINT", "https://huggingface.co")
    hub_token: str = setting("HF_TOKEN", "", secret=True)
    hub_offline: bool = setting("HF_HUB_OFFLINE", False)
    # A directory under gs:// or s3:// that workers share: asked before the hub. Empty: none.
    cluster_cache: str = setting("SIE_CLUSTER_CACHE", "")
    state_dir: Path = setting("SIE_STATE_DIR", Path("~/.cache/sie/state").expanduser())
    # Where requests are that are too large for the broker: jetstream, s3://, gs:// or file://.
    payload_store: str = setting("SIE_PAYLOAD_STORE", JETSTREAM)
    host: str = setting("SIE_HOST", "127.0.0.1")
    http_port: int = setting("SIE_WORKER_HTTP_PORT", 9100)
    log_level: str = setting("SIE_LOG_LEVEL", "info")
    log_json: bool = setting("SIE_LOG_JSON", False)


async def run(settings: Settings, tracer: Tracer) -> None:
    lane = Lane(settings.pool or DEFAULT_POOL, settings.machine_profile, settings.bundle)
    async with contextlib.AsyncExitStack() as stack:

        async def on_reconnect() -> None:
            host.on_reconnect()

        client = await broker.connect(
            settings.nats_url, f"worker/{settings.worker_id}", on_reconnect=on_reconnect
        )
        stack.push_async_callback(client.drain)
        view = await stack.enter_async_context(
            RegistryView(
                settings.config_address, settings.state_dir, f"worker/{settings.worker_id}"
            )
        )
        changed = asyncio.Event()
        cancellations = Cancellations()
        await cancellations.follow(client, lane)
        payloads = open_payloads(settings.payload_store, client)
        clock = BrokerClock(client)
        await clock.ask()
        await _background(stack, clock.run())
        intake = Intake(cancellations, payloads, clock, tracer)
        metrics.broker_connected.set_function(lambda: client.is_connected)
        device = Device(available_cores())
        busy = BusyShare(settings.busy_over_s)
        host = _host(settings, client, lane, changed.set, device, intake)
        heartbeat = Heartbeat(
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
        membership = Membership(
            client,
            lane,
            settings.worker_id,
            host,
            heartbeat,
            view,
            dedicated=bool(settings.pool),
        )

        def not_ready() -> list[str]:
            reasons = [] if client.is_connected else ["the broker is not connected"]
            if heartbeat.state != WorkerState.WORKER_STATE_READY:
                name = WorkerState.Name(heartbeat.state).removeprefix("WORKER_STATE_")
                reasons.append(f"the worker is {name.lower()}")
            return reasons + host.unhealthy()

        probes = await stack.enter_async_context(
            Probes(
                settings.host,
                settings.http_port,
                live=lambda: ["an engine run never ended"] if host.stuck() else [],
                ready=not_ready,
                metrics=REGISTRY,
            )
        )
        await _background(stack, heartbeat.run())
        await view.loaded()
        await membership.start()
        await _background(stack, membership.run())
        await _preload(host, view, settings.preload_models)
        await _background(stack, _reconcile(host, view))
        await _background(stack, _tick(host, heartbeat))
        heartbeat.set_state(WorkerState.WORKER_STATE_READY)
        log.info("worker ready", extra={"fields": {"lane": lane, "probes": probes.port}})
        await until_signal()
        heartbeat.set_state(WorkerState.WORKER_STATE_DRAINING)
        await heartbeat.beat()
        await host.close()


def _host(
    settings: Settings,
    client: Client,
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


async def _background(stack: contextlib.AsyncExitStack, work: Coroutine[None, None, None]) -> None:
    task = asyncio.create_task(work)

    async def cancel() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(cancel)


async def _preload(host: ModelHost, view: RegistryView, model_ids: tuple[str, ...]) -> None:
    for model_id in model_ids:
        if model_id not in view.models:
            log.warning("cannot preload an unknown model", extra={"fields": {"model": model_id}})
            continue
        host.adopt(view.models[model_id])
    await asyncio.gather(*map(host.wait_for, model_ids))


async def _reconcile(host: ModelHost, view: RegistryView) -> None:
    changed = asyncio.Event()
    view.subscribe(lambda _: changed.set())
    while True:
        await changed.wait()
        changed.clear()
        await host.reconcile(view.models)


async def _tick(host: ModelHost, heartbeat: Heartbeat) -> None:
    while True:
        await host.tick()
        if host.stuck():
            log.critical("an engine answers no more; leaving so that another process can serve")
            heartbeat.set_state(WorkerState.WORKER_STATE_FAILED)
            await heartbeat.beat()
            os._exit(_EXIT_STUCK)
        await asyncio.sleep(_TICK_S)


def main() -> None:
    settings = from_environment(Settings)
    logs.configure(settings.log_level, as_json=settings.log_json, process="worker")
    log.info("starting", extra={"fields": describe(settings)})
    tracer = open_tracer(settings, "sie-worker", settings.worker_id, version("sie"))
    with contextlib.closing(tracer):
        uvloop.run(run(settings, tracer))


if __name__ == "__main__":
    main()
