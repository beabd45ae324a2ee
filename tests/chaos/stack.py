"""Clusters to do harm to: two gateways, two workers, and brokers of several kinds."""

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from cli import broker
from cli.local_stack import LocalStack
from cli.managed_process import ManagedProcess
from cli.ports import HOST, free_port
from tests.asking import ask
from tests.chaos.small_disk import fill, on_small_disk

WORKERS = ("worker-1", "worker-2")
GATEWAYS = ("gateway-1", "gateway-2")
_SHIFTED_CLOCK = Path(__file__).with_name("shifted_clock")


class ChaosStack(LocalStack):
    """A cluster whose queue is on disk, with two of what can be two.

    Args:
        directory: everything it writes goes here.
        cache_dir: compiled engines.
        env: further variables for every service.
        brokers: how many, as one cluster.
        disk_mib: the size of a file system of its own for the broker; 0: none.
    """

    def __init__(
        self,
        directory: Path,
        cache_dir: Path,
        env: Mapping[str, str] | None = None,
        *,
        brokers: int = 1,
        disk_mib: int = 0,
    ) -> None:
        kept = {
            "SIE_STREAM_STORAGE": "file",
            "SIE_STREAM_REPLICAS": str(brokers),
            # A slow machine is no fault: what waits is not refused for it.
            "SIE_MAX_WAIT_S": "60",
        }
        super().__init__(directory, cache_dir=cache_dir, env=kept | dict(env or {}))
        self._disk_mib = disk_mib
        self._clients = [self.ports.broker, *(free_port() for _ in range(brokers - 1))]
        self._routes = [free_port() for _ in range(brokers)]
        self._monitors = [free_port() for _ in range(brokers)]
        self._true_envs: dict[str, Mapping[str, str]] = {}

    @property
    def nats_url(self) -> str:
        return ",".join(f"nats://{HOST}:{port}" for port in self._clients)

    @property
    def brokers(self) -> list[str]:
        names = [f"broker-{number}" for number in range(2, len(self._clients) + 1)]
        return ["broker", *names]

    @property
    def gateway_addresses(self) -> list[str]:
        return [f"{HOST}:{self.processes[name].env['SIE_HTTP_PORT']}" for name in GATEWAYS]

    def start(self, workers: int = len(WORKERS), timeout: float = 120.0) -> None:
        super().start(workers, timeout)

    def launch(self, workers: int = len(WORKERS)) -> None:
        super().launch(workers)
        for name in GATEWAYS[1:]:
            self.start_gateway(name)

    def start_broker(self) -> ManagedProcess:
        """Starts every broker that does not run, and waits until they serve."""
        for number, name in enumerate(self.brokers):
            if name not in self.processes:
                self._start("broker", self._broker(number, name), self._clients[number])
            elif not self.processes[name].is_running:
                self.processes[name].start()
        for name in self.brokers:
            self.processes[name].wait_ready(60)
        return self.processes["broker"]

    def restart(self, name: str) -> ManagedProcess:
        """Starts a process that ends, with what it had."""
        process = self.processes[name]
        process.wait(40)
        process.start()
        return process

    def skew(self, name: str, seconds: float) -> None:
        """Restarts a service with a clock that is off by `seconds`, until the cluster is healed."""
        process = self.processes[name]
        self._true_envs[name] = process.env
        path = f"{_SHIFTED_CLOCK}{os.pathsep}{process.env['PYTHONPATH']}"
        shift = {"PYTHONPATH": path, "CHAOS_CLOCK_SHIFT_S": str(seconds)}
        self._restart_with(name, dict(process.env) | shift)
        process.wait_ready(60)

    def start_second_config(self, address: str) -> ManagedProcess:
        """Starts a config service beside the first, on the same broker."""
        ports = {
            "SIE_CONFIG_GRPC_PORT": address.rpartition(":")[2],
            "SIE_CONFIG_HTTP_PORT": str(free_port()),
        }
        settings = dict(self.processes["config"].env) | ports
        return self._start_service("config", "config_service", "config-2", settings)

    def retire(self, name: str) -> int:
        """Ends a process for good; returns its exit code."""
        process = self.processes[name]
        process.terminate()
        code = process.wait(40)
        del self.processes[name], self._roles[name]
        return code

    def leader(self, stream: str) -> str:
        """Name of the broker that leads a stream; empty while there is none."""
        for monitor in self._monitors:
            try:
                found = ask(f"{HOST}:{monitor}", "GET", "/jsz?streams=true", timeout=5).json()
            except OSError:
                continue
            for account in found.get("account_details", []):
                for detail in account.get("stream_detail", []):
                    if detail["name"] == stream:
                        return str(detail.get("cluster", {}).get("leader", ""))
        return ""

    def is_broker_healthy(self, number: int = 0) -> bool:
        """What its liveness probe says."""
        address = f"{HOST}:{self._monitors[number]}"
        return ask(address, "GET", "/healthz", timeout=5).status == 200

    def heal(self) -> None:
        """Undoes what was done to processes, and returns when everything is ready."""
        for process in self.processes.values():
            if process.is_running:
                process.signal(signal.SIGCONT)
        for name, env in self._true_envs.items():
            self._restart_with(name, env)
        self._true_envs.clear()
        self.start_broker()
        for process in self.processes.values():
            if not process.is_running:
                process.start()
        for process in self.processes.values():
            process.wait_ready(60)

    def fill_disk(self, name: str = "broker") -> Path:
        """Leaves no room in a broker's file system; returns the file that took it."""
        return fill(self.processes[name].pid, self._store(self.brokers.index(name)))

    def _restart_with(self, name: str, env: Mapping[str, str]) -> None:
        process = self.processes[name]
        process.terminate()
        process.wait(40)
        process.env = env
        process.start()

    def _store(self, number: int) -> Path:
        return self.directory / "broker" / str(number)

    def _broker(self, number: int, name: str) -> ManagedProcess:
        self._store(number).mkdir(parents=True, exist_ok=True)
        config = self.directory / f"{name}.conf"
        port = self._clients[number]
        broker.write_config(config, port=port, store_dir=self._store(number))
        settings = json.loads(config.read_text()) | self._cluster_settings(number, name)
        config.write_text(json.dumps(settings, indent=2))
        disk = on_small_disk(self._store(number), self._disk_mib) if self._disk_mib else []
        return broker.process(config, self.logs_dir / f"{name}.log", port, within=disk)

    def _cluster_settings(self, number: int, name: str) -> dict[str, object]:
        common: dict[str, object] = {
            "server_name": name,
            "http": f"{HOST}:{self._monitors[number]}",
        }
        if len(self._clients) == 1:
            return common
        routes = [f"nats://{HOST}:{port}" for port in self._routes]
        listen = f"{HOST}:{self._routes[number]}"
        return common | {"cluster": {"name": "sie", "listen": listen, "routes": routes}}
