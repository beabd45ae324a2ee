"""Which version of the project a process runs, as a metric."""

from importlib.metadata import version

from prometheus_client import CollectorRegistry, Gauge


def show_build(registry: CollectorRegistry) -> None:
    """Adds `sie_build_info`, which is 1, to what a process shows of itself."""
    info = Gauge("sie_build_info", "1; what a process was built of", ["version"], registry=registry)
    info.labels(version("sie")).set(1)
