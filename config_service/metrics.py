"""What the config service measures of itself."""

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
)

from servicekit.build_info import show_build
from servicekit.defaults import DEFAULT_POOL


class Metrics:
    """Every metric of the config service, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR):
            self.registry.register(collector)
        show_build(self.registry)
        self.requests = Counter(
            "sie_config_requests",
            "Calls by rpc and status; watches count when they end.",
            ["endpoint", "status"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "sie_config_request_seconds",
            "Time of calls with one answer.",
            ["endpoint"],
            registry=self.registry,
        )
        self.broker_connected = Gauge(
            "sie_config_broker_connected",
            "1 while the broker can be reached.",
            registry=self.registry,
        )
        self.revision = Gauge(
            "sie_config_revision", "Newest revision of the registry.", registry=self.registry
        )
        self.models = Gauge("sie_config_models", "Models registered.", registry=self.registry)
        self.watchers = Gauge(
            "sie_config_watchers", "Watches of the registry that are open.", registry=self.registry
        )
        self.store_writes = Counter(
            "sie_config_store_writes",
            "Commits tried, by outcome: committed, fenced or registry_unavailable.",
            ["result"],
            registry=self.registry,
        )
        # There from the start: what begins with its first event shows no increase by it.
        for result in ("committed", "fenced", "registry_unavailable"):
            self.store_writes.labels(result)
        self.dead_letters = Counter(
            "sie_config_dead_letters",
            "Work items moved to the dead letters.",
            ["pool"],
            registry=self.registry,
        )
        self.dead_letters.labels(DEFAULT_POOL)
        self.pool_events = Counter(
            "sie_config_pool_events",
            "What happened to pools: created, renewed, deleted or expired.",
            ["event"],
            registry=self.registry,
        )
