"""What stands behind the edge: the broker, the registry, the workers, the queue."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import grpc
from prometheus_client import REGISTRY

from gateway.adoption import Adoption
from gateway.cluster import Cluster
from gateway.connection_gauge import ConnectionGauge
from gateway.demand import Demand, DemandGauge
from gateway.hosting_gauge import HostingGauge
from gateway.leases import LeaseGauge
from gateway.peers import Peers
from gateway.queue.dispatch import Dispatcher
from gateway.queue.work_metrics import WorkMetrics
from gateway.refusals import Refusals
from gateway.settings import Settings
from gateway.usage import Usage, UsageGauge
from gateway.worker_gauges import QueueGauge, WorkersGauge
from servicekit import broker
from servicekit.grpc_client import channel
from servicekit.payloads import open_payloads
from servicekit.prompt_client import PromptClient
from servicekit.registry_view import RegistryView
from servicekit.workers import WorkerDirectory


@dataclass(frozen=True)
class Backend:
    """The parts that every call goes through, or looks at.

    Args:
        client: connection to the broker.
        config: channel to the config service.
        view: the registry.
        workers: those that live.
        peers: the other gateways.
        cluster: what follows from the registry and the workers.
        adoption: finds hosts for models.
        dispatcher: the way to the queue and back.
        refusals: counts what is not served.
        demand: lanes that requests found without workers.
    """

    client: PromptClient
    config: grpc.aio.Channel
    view: RegistryView
    workers: WorkerDirectory
    peers: Peers
    cluster: Cluster
    adoption: Adoption
    dispatcher: Dispatcher
    refusals: Refusals
    demand: Demand

    def missing(self) -> Iterator[str]:
        """What keeps the gateway from serving, each as a sentence; nothing while it is ready."""
        if not self.client.is_connected:
            yield "the broker is not connected"
        if not self.view.is_loaded:
            yield "the registry was not read yet"

    @property
    def is_ready(self) -> bool:
        return not any(self.missing())

    async def start(self) -> None:
        """Begins to hear workers and results."""
        await self.dispatcher.start()
        await self.workers.follow(self.client)


@asynccontextmanager
async def open_backend(settings: Settings, gateway_id: str) -> AsyncIterator[Backend]:
    """Connects to everything; waits for the broker, and not for the config service."""

    async def on_reconnect() -> None:
        await workers.ask(client)
        await dispatcher.republish()

    async with AsyncExitStack() as stack:
        client = await broker.connect(
            settings.nats_url, f"gateway/{gateway_id}", on_reconnect=on_reconnect
        )
        stack.push_async_callback(client.close)
        config = await stack.enter_async_context(channel(settings.config_address))
        view = await stack.enter_async_context(
            RegistryView(settings.config_address, settings.state_dir, f"gateway/{gateway_id}")
        )
        workers = WorkerDirectory()
        dispatcher = Dispatcher(
            client,
            gateway_id,
            payloads=open_payloads(settings.payload_store, client),
            metrics=WorkMetrics(REGISTRY),
            max_wait_s=settings.max_wait_s,
        )
        demand, usage = Demand(settings.retry_after_s), Usage(settings.recent_use_s)
        refusals = Refusals(REGISTRY)
        cluster = Cluster(view, workers, demand, usage, refusals, dispatcher.waiting_items)
        adoption = Adoption(workers, client, lambda: view.revision)
        workers.subscribe(partial(adoption.follow, dispatcher))
        peers = Peers(client, gateway_id, version("sie"), lambda: view.revision)
        stack.callback(view.subscribe(lambda _: peers.beat()))
        for gauge in (
            DemandGauge(demand, cluster.lanes, dispatcher.lanes, time.monotonic),
            LeaseGauge(lambda: view.pools),
            UsageGauge(usage, workers.live, dispatcher.lanes, lambda: view.pools),
            WorkersGauge(workers.live),
            HostingGauge(workers.live),
            ConnectionGauge(view, lambda: client.is_connected),
            QueueGauge(gateway_id, workers.live, dispatcher, lambda: view.pools),
        ):
            REGISTRY.register(gauge)
        yield Backend(
            client, config, view, workers, peers, cluster, adoption, dispatcher, refusals, demand
        )
