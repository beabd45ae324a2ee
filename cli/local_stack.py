"""A whole cluster on loopback: what `sie up`, the end-to-end tests and the benchmarks run.

    directory/
      broker.conf  broker/      the broker's configuration and its store, or broker-file/
      state/<name>/             registry snapshots, one folder a process
      cache/                    compiled engines
      logs/<name>.log
      processes.json            which port each process listens on, and how, for `sie doctor`

Every process is a child of this one. Only the broker is waited for: the services find each
other by trying again, so they start side by side. They end in the order of the flow of
requests, gateways first, so that each finishes what it has accepted.
"""

import json
import os
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from cli import broker, probes, tls
from cli.managed_process import ManagedProcess, kill_all, stop_all
from cli.ports import HOST, Ports, free_port

PROCESSES_FILE = "processes.json"
DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"

# Definitions that come with the project; the config service reads them at its first start.
_DEFINITIONS = {
    "SIE_MODELS_DIR": "models",
    "SIE_BUNDLES_DIR": "bundles",
    "SIE_MACHINE_PROFILES_DIR": "machine_profiles",
}
_ROOT = Path(__file__).resolve().parent.parent
_STOP_ORDER = ("gateway", "worker", "config", "broker")
_BROKER_START_S = 15.0


def preloaded_models() -> list[str]:
    """Models that workers load before they are ready: SIE_PRELOAD_MODELS or the default one."""
    listed = os.environ.get("SIE_PRELOAD_MODELS", "").split(",")
    return [model.strip() for model in listed if model.strip()] or [DEFAULT_MODEL]


def read_processes(directory: Path) -> dict[str, dict[str, int]]:
    """`port` of each process of the stack in a folder, and `tls` where it serves that, by name.

    Empty where there was none.
    """
    try:
        found: dict[str, dict[str, int]] = json.loads((directory / PROCESSES_FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return found


class LocalStack:
    """Starts and stops the processes of one cluster.

    Args:
        directory: everything it writes goes here.
        ports: free ones when not given.
        cache_dir: compiled engines, when they should outlive `directory`.
        env: further variables for every service, such as `SIE_LOG_LEVEL`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        ports: Ports | None = None,
        cache_dir: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory.resolve()
        self.ports = ports or Ports.free()
        self.cache_dir = cache_dir or self.directory / "cache"
        self.logs_dir = self.directory / "logs"
        self.processes: dict[str, ManagedProcess] = {}
        self._roles: dict[str, str] = {}
        self._listening: dict[str, dict[str, int]] = {}
        self._env = dict(env or {})

    @property
    def nats_url(self) -> str:
        return f"nats://{HOST}:{self.ports.broker}"

    @property
    def config_address(self) -> str:
        return f"{HOST}:{self.ports.config_grpc}"

    @property
    def _stream_storage(self) -> str:
        return (os.environ | self._env).get("SIE_STREAM_STORAGE", "memory")

    @property
    def http_url(self) -> str:
        """Of the first gateway."""
        return f"{'https' if self.tls else 'http'}://{self.http_address}"

    @property
    def tls(self) -> ssl.SSLContext | None:
        """How its gateways are asked over HTTP; None: in clear.

        Raises:
            CommandError: the certificate to show them cannot be used.
        """
        return _tls(os.environ | self._env)

    @property
    def grpc_address(self) -> str:
        """Of the first gateway."""
        return f"{HOST}:{self.ports.grpc}"

    @property
    def http_address(self) -> str:
        """Of the first gateway."""
        return f"{HOST}:{self.ports.http}"

    def start(self, workers: int = 1, timeout: float = 120.0) -> None:
        """Starts one of everything, `workers` workers, and waits until all are ready."""
        self.launch(workers)
        for process in self.processes.values():
            process.wait_ready(timeout)

    def launch(self, workers: int = 1) -> None:
        """Starts one of everything and `workers` workers. Waits for the broker only."""
        self.start_broker()
        self.start_config()
        for number in range(1, workers + 1):
            self.start_worker(f"worker-{number}")
        self.start_gateway()

    def start_broker(self) -> ManagedProcess:
        """Starts the broker, with what an earlier one has stored, and waits until it listens."""
        config = self.directory / "broker.conf"
        # Streams in files stay there while the stack runs on memory, and cannot be changed into it.
        store = "broker-file" if self._stream_storage == "file" else "broker"
        broker.write_config(config, port=self.ports.broker, store_dir=self.directory / store)
        process = broker.process(config, self.logs_dir / "broker.log", self.ports.broker)
        self._start("broker", process, self.ports.broker)
        process.wait_ready(_BROKER_START_S)
        return process

    def start_config(self, **env: str) -> ManagedProcess:
        ports = {
            "SIE_CONFIG_GRPC_PORT": str(self.ports.config_grpc),
            "SIE_CONFIG_HTTP_PORT": str(self.ports.config_http),
            # A laptop's queue need not survive its power button.
            "SIE_STREAM_STORAGE": self._stream_storage,
        }
        definitions = {
            variable: os.environ.get(variable, str(_ROOT / folder))
            for variable, folder in _DEFINITIONS.items()
        }
        settings = definitions | ports | env
        return self._start_service("config", "config_service", "config", settings)

    def start_worker(self, name: str = "worker-1", **env: str) -> ManagedProcess:
        """Starts a worker under its own id. Its variables can be given: `SIE_BUNDLE="default"`."""
        settings = {
            "SIE_WORKER_ID": name,
            "SIE_WORKER_HTTP_PORT": str(free_port()),
            "SIE_PRELOAD_MODELS": ",".join(preloaded_models()),
            "SIE_CACHE_DIR": str(self.cache_dir),
        }
        return self._start_service("worker", "worker", name, settings | env)

    def start_gateway(self, name: str = "gateway-1", **env: str) -> ManagedProcess:
        """Starts a gateway. The first takes the stack's ports, others free ones (see `env`)."""
        is_first = name == "gateway-1"
        ports = {
            "SIE_HTTP_PORT": str(self.ports.http if is_first else free_port()),
            "SIE_GRPC_PORT": str(self.ports.grpc if is_first else free_port()),
        }
        default_models = os.environ.get("SIE_DEFAULT_MODEL") or ",".join(preloaded_models())
        settings = {"SIE_DEFAULT_MODEL": default_models} | ports | env
        return self._start_service("gateway", "gateway", name, settings)

    def stop(self, grace_s: float = 30.0) -> None:
        """Ends every process, role by role; each role has `grace_s` seconds to finish."""
        for role in _STOP_ORDER:
            stop_all(
                [self.processes[name] for name, its in self._roles.items() if its == role], grace_s
            )

    def kill(self) -> None:
        """Ends every process at once."""
        kill_all(list(self.processes.values()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start_service(
        self, role: str, module: str, name: str, settings: Mapping[str, str]
    ) -> ManagedProcess:
        env = os.environ | self._common_env(name) | dict(settings) | self._env
        probe_port = int(env[_PROBE_PORT[role]])
        context = _tls(env) if role == "gateway" else None
        process = ManagedProcess(
            name,
            # -P: a folder of the same name in the working directory must not shadow a package.
            [sys.executable, "-P", "-m", module],
            self.logs_dir / f"{name}.log",
            env=env,
            probe=probes.ready(HOST, probe_port, context),
        )
        self._start(role, process, probe_port, serves_tls=context is not None)
        return process

    def _start(
        self, role: str, process: ManagedProcess, port: int, *, serves_tls: bool = False
    ) -> None:
        earlier = self.processes.get(process.name)
        assert earlier is None or not earlier.is_running, f"{process.name} runs already"
        self.processes[process.name] = process
        self._roles[process.name] = role
        process.start()
        self._listening[process.name] = {"port": port} | ({"tls": 1} if serves_tls else {})
        (self.directory / PROCESSES_FILE).write_text(json.dumps(self._listening))

    def _common_env(self, name: str) -> dict[str, str]:
        return {
            "SIE_HOST": HOST,
            "SIE_NATS_URL": self.nats_url,
            "SIE_CONFIG_ADDRESS": self.config_address,
            "SIE_STATE_DIR": str(self.directory / "state" / name),
            # Children import what we import, also when nothing is installed.
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            # Otherwise the last lines of a crash could be lost in a buffer.
            "PYTHONUNBUFFERED": "1",
            # Engines compute, and numpy only copies: its threads would take their cores.
            "OPENBLAS_NUM_THREADS": "1",
        }


def _tls(env: Mapping[str, str]) -> ssl.SSLContext | None:
    return tls.of_environment(env).of_own_gateway() if env.get("SIE_TLS_CERT") else None


_PROBE_PORT = {
    "config": "SIE_CONFIG_HTTP_PORT",
    "worker": "SIE_WORKER_HTTP_PORT",
    "gateway": "SIE_HTTP_PORT",
}
