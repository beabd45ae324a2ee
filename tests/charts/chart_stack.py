"""A stack on loopback that runs as the chart says: its broker's configuration and users."""

import os
import re
import subprocess
import sys

from cli import broker
from cli.local_stack import DEFAULT_MODEL, LocalStack
from cli.managed_process import ManagedProcess
from cli.ports import HOST, free_port
from tests.charts.rendering import CHART, environment, of_kind, pod_specs, render

_USERS = ("gateway", "config", "worker")


class ChartStack(LocalStack):
    """A local stack whose broker has the chart's users and their rights."""

    def start_broker(self) -> ManagedProcess:
        objects = render("cpu")
        text = of_kind(objects, "ConfigMap")["sie-sie-cluster-nats"]["data"]["nats.conf"]
        config = self.directory / "nats.conf"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(self._here(text))
        passwords = {f"{user.upper()}_PASSWORD": self.password(user) for user in _USERS}
        env = {**os.environ, **passwords, "POD_NAME": "nats-0"}
        log = self.logs_dir / "broker.log"
        process = broker.process(config, log, self.ports.broker, env=env)
        self._start("broker", process, self.ports.broker)
        process.wait_ready(60)
        return process

    def password(self, user: str) -> str:
        return f"p{user}1"

    def url(self, user: str) -> str:
        return f"nats://{user}:{self.password(user)}@{HOST}:{self.ports.broker}"

    def start_all(self, model: str = DEFAULT_MODEL) -> None:
        """One of everything, each under its own user; waits until all are ready, and a model."""
        self.start_broker()
        self.start_config(**self._streams(), SIE_NATS_URL=self.url("config"))
        # With nothing loaded, so that the first request is offered and adopted.
        self.start_worker(SIE_NATS_URL=self.url("worker"), SIE_PRELOAD_MODELS="")
        self.start_gateway(SIE_NATS_URL=self.url("gateway"))
        for process in self.processes.values():
            process.wait_ready(120)
        # What was never asked has no series.
        assert self.encode(model).returncode == 0

    def _streams(self) -> dict[str, str]:
        """The settings of streams, which must fit into the broker's store."""
        config = pod_specs(render("cpu"))["sie-sie-cluster-config"]["containers"][0]
        return {
            name: value
            for name, value in environment(config).items()
            if name.startswith("SIE_STREAM_")
        }

    def encode(self, model: str = DEFAULT_MODEL) -> subprocess.CompletedProcess[str]:
        """What the pod of `helm test` does."""
        url = f"http://{self.http_address}"
        env = {"URL": url, "MODEL": model, "TIMEOUT_SECONDS": "30"}
        command = [sys.executable, str(CHART / "files" / "encode.py")]
        return subprocess.run(
            command, env=os.environ | env, check=False, capture_output=True, text=True
        )

    def probe_port(self, name: str) -> int:
        """Where a service answers probes and scrapes."""
        env = self.processes[name].env
        variable = {"config": "SIE_CONFIG_HTTP_PORT", "gateway-1": "SIE_HTTP_PORT"}
        return int(env[variable.get(name, "SIE_WORKER_HTTP_PORT")])

    def _here(self, text: str) -> str:
        """The broker's configuration with this machine's ports and folders."""
        for before, after in {
            r"^port: 4222$": f"host: {HOST}\nport: {self.ports.broker}",
            r"^http_port: 8222$": f"http: {HOST}:{free_port()}",
            r"store_dir: /data": f"store_dir: {self.directory / 'broker'}",
        }.items():
            text, count = re.subn(before, after, text, flags=re.MULTILINE)
            assert count == 1, before
        return text
