"""The chart's cluster on loopback, from rendered objects: what scales, what is scraped, what runs.

Time is divided by one factor: every interval, cooldown, window, range of a query and delay. The
processes' own times stay as they are: heartbeats, starts, and the deadlines of requests.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from cli.local_stack import LocalStack
from tests.autoscaling.keda import Keda, ScaledPool
from tests.autoscaling.pods import Pods
from tests.autoscaling.prometheus import Prometheus
from tests.autoscaling.scaling import Scaling
from tests.charts.rendering import Object, environment, of_kind, pod_specs, render

_PREFIX = "sie-sie-cluster"
_GATEWAYS = ("gateway-1", "gateway-2")
# Settings of the gateway that are seconds of the cluster's life.
_SCALED_SETTINGS = ("SIE_RETRY_AFTER_S", "SIE_RECENT_USE_S")


class ScaledCluster:
    """Two gateways, a config service, a broker and Prometheus; workers come when KEDA says so.

    Args:
        directory: everything it writes goes here.
        values: of the chart, with autoscaling and monitors on.
        models: definitions of models.
        cache_dir: compiled engines.
        factor: by which time is divided.
        node_delay_s: until a node is there, in seconds of the cluster's time.
    """

    def __init__(
        self,
        directory: Path,
        values: Mapping[str, Any],
        models: Path,
        cache_dir: Path,
        factor: float,
        node_delay_s: float,
    ) -> None:
        self.factor = factor
        self.objects = render(values=yaml.safe_dump(dict(values)))
        definitions = _write_definitions(self.objects, directory / "definitions")
        env = {"SIE_MODELS_DIR": str(models), **definitions}
        self.stack = LocalStack(directory / "stack", cache_dir=cache_dir, env=env)
        self._gateway_env = self._scaled_settings()
        self.pools = self._pools(node_delay_s)
        self.started_at = time.monotonic()
        self._directory = directory

    def real(self, seconds: float) -> float:
        """Seconds of this machine, of seconds of the cluster."""
        return seconds / self.factor

    def __enter__(self) -> Self:
        self.stack.start_broker()
        self.stack.start_config()
        for name in _GATEWAYS:
            self.stack.start_gateway(name, **self._gateway_env)
        for process in self.stack.processes.values():
            process.wait_ready(60)
        self.prometheus = Prometheus(
            self._directory / "prometheus",
            self.objects,
            {f"{_PREFIX}-gateway": {name: self.address(name) for name in _GATEWAYS}},
            self.factor,
        )
        self.prometheus.start()
        self._keda = Keda(self.pools, self.prometheus)
        self._keda.start()
        self.started_at = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._keda.stop()
        finally:
            self.prometheus.close()
            self.stack.stop()

    def address(self, name: str = _GATEWAYS[0]) -> str:
        """Where a gateway serves HTTP."""
        return f"127.0.0.1:{self.stack.processes[name].env['SIE_HTTP_PORT']}"

    def restart_gateways(self) -> float:
        """Kills all of them at once, so that nobody remembers anything, and starts new ones.

        Returns:
            For how long there was none, in real seconds.
        """
        began = time.monotonic()
        gateways = [self.stack.processes[name] for name in _GATEWAYS]
        for gateway in gateways:
            gateway.kill()
        for gateway in gateways:
            gateway.wait(60)
        for gateway in gateways:
            gateway.start()
        for gateway in gateways:
            gateway.wait_ready(60)
        return time.monotonic() - began

    def until(self, condition: Callable[[], bool], seconds: float = 180.0) -> None:
        """Waits for something that the autoscaler brings about; real seconds."""
        deadline = time.monotonic() + seconds
        while not condition():
            self._keda.check()
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.05)

    def _scaled_settings(self) -> dict[str, str]:
        (container,) = pod_specs(self.objects)[f"{_PREFIX}-gateway"]["containers"]
        variables = environment(container)
        return {name: str(self.real(float(variables[name]))) for name in _SCALED_SETTINGS}

    def _pools(self, node_delay_s: float) -> dict[str, ScaledPool]:
        """By the pool's name in the chart's values."""
        sets = of_kind(self.objects, "StatefulSet")
        pools = {}
        for scaled_object in of_kind(self.objects, "ScaledObject").values():
            target = scaled_object["spec"]["scaleTargetRef"]["name"]
            pods = Pods(self.stack, sets[target], node_delay_s, self.factor)
            scaling = Scaling.of(scaled_object).faster(self.factor)
            pools[target.removeprefix(f"{_PREFIX}-worker-")] = ScaledPool(pods, scaling)
        return pools


def _write_definitions(objects: list[Object], directory: Path) -> dict[str, str]:
    """Writes what a new registry starts with. Returns the settings that name the folders."""
    for name, content in of_kind(objects, "ConfigMap")[f"{_PREFIX}-definitions"]["data"].items():
        folder, _, file = name.partition("__")
        (directory / folder).mkdir(parents=True, exist_ok=True)
        (directory / folder / file).write_text(content)
    return {
        "SIE_MACHINE_PROFILES_DIR": str(directory / "machine_profiles"),
        "SIE_BUNDLES_DIR": str(directory / "bundles"),
    }
