"""What leased pools want, for an autoscaler: from the moment that a pool is created."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from sie.pool.v1.pool_pb2 import Pool


def wanted_gpus(pools: Iterable[Pool]) -> Mapping[tuple[str, str], int]:
    """Workers that pools want, there or not, by (machine profile, bundle)."""
    counted: Counter[tuple[str, str]] = Counter()
    for pool in pools:
        for profile, count in pool.spec.gpus.items():
            counted[profile, pool.spec.bundle] += count
    return counted


class LeaseGauge(Collector):
    """Computed when it is scraped. Every gateway shows the same: take the maximum, not the sum.

    Args:
        pools: gives the registry's, by name.
    """

    def __init__(self, pools: Callable[[], Mapping[str, Pool]]) -> None:
        self._pools = pools
        # A series that was there once falls to 0 and does not vanish.
        self._kinds: set[tuple[str, str]] = set()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        gauge = GaugeMetricFamily(
            "sie_gateway_active_lease_gpus",
            "Workers that leased pools want of this kind; the same on every gateway",
            labels=["machine_profile", "bundle"],
        )
        counted = wanted_gpus(self._pools().values())
        self._kinds |= counted.keys()
        for kind in sorted(self._kinds):
            gauge.add_metric(kind, float(counted.get(kind, 0)))
        yield gauge
