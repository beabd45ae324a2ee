"""Whether a gateway hears what it depends on, computed when it is scraped."""

from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from servicekit.registry_view import RegistryView


class ConnectionGauge(Collector):
    """The broker, and the registry as this gateway has it.

    Args:
        view: of the registry.
        broker_connected: whether the broker can be reached.
    """

    def __init__(self, view: RegistryView, broker_connected: Callable[[], bool]) -> None:
        self._view = view
        self._broker_connected = broker_connected

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily(
            "sie_gateway_broker_connected",
            "1 while the broker can be reached",
            value=float(self._broker_connected()),
        )
        yield GaugeMetricFamily(
            "sie_gateway_config_connected",
            "1 while the registry is followed; 0 serves from the last one known",
            value=float(self._view.connected),
        )
        yield GaugeMetricFamily(
            "sie_gateway_registry_revision",
            "Revision of the registry that this gateway serves from",
            value=float(self._view.revision),
        )
