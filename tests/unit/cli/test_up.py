"""`sie up` as a person runs it: a real process, real signals, stand-ins for the services."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.ports import free_port, is_free
from tests.waiting import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

STAND_INS = Path(__file__).parent / "stand_ins"


class Up:
    """A running `sie up`, whose output can be waited for."""

    def __init__(self, directory: Path, **env: str) -> None:
        self.data_dir = directory / "data"
        self.ports = [free_port() for _ in range(2)]
        self._output = directory / f"output-{self.ports[0]}"
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(STAND_INS), *sys.path]),
            "SIE_HTTP_PORT": str(self.ports[0]),
            "SIE_GRPC_PORT": str(self.ports[1]),
        }
        command = [sys.executable, "-P", "-m", "cli", "up", "--data-dir", str(self.data_dir)]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                command, env=environment | env, stdout=output, stderr=subprocess.STDOUT
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def wait_for(self, text: str) -> None:
        until(lambda: text in self.output, wanted=f"{text!r} of sie up")

    def children(self) -> dict[str, int]:
        """Pids by module name, from the processes whose parent it is."""
        listing = subprocess.run(
            ["ps", "-o", "pid=,args=", "--ppid", str(self.process.pid)],
            check=False,
            capture_output=True,
            text=True,
        ).stdout
        rows = [line.split(None, 1) for line in listing.splitlines()]
        return {arguments.rpartition(" ")[2]: int(pid) for pid, arguments in rows}


@pytest.fixture
def start_up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def start(**env: str) -> Up:
        started.append(Up(tmp_path, **env))
        return started[-1]

    yield start
    for up in started:
        up.process.kill()
        up.process.wait()


def wait_until_gone(pids: list[int]) -> None:
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), wanted="their ends")


def test_it_comes_up_shows_what_to_try_and_ends_with_ctrl_c(start_up: Callable[..., Up]) -> None:
    up = start_up()
    up.wait_for("Ctrl-C stops everything")
    for step in ("broker", "config", "worker-1", "gateway-1", "first embedding"):
        assert re.search(rf"\d\.\d\d s  {step} ", up.output), step
    assert "[0.2500, -0.5000, 1.0000, ...] 3 dims, engine cache cold" in up.output
    assert re.search(r"  worker-1 +model loaded\n", up.output)
    for hint in ("curl -s http://127.0.0.1:", "grpcurl -plaintext", "<<'END'"):
        assert hint in up.output
    pids = list(up.children().values())
    assert len(pids) == 4

    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0
    assert up.output.endswith("stopped\n")
    wait_until_gone(pids)
    assert all(is_free(port) for port in up.ports)


def test_models_that_are_not_loaded_are_named_and_the_others_served(
    start_up: Callable[..., Up],
) -> None:
    up = start_up(SIE_PRELOAD_MODELS="bad,unknown,good", STAND_IN_FAILED="bad")
    up.wait_for("Ctrl-C stops everything")
    told = "1 of 3 models loaded; model 'bad': no folder; model 'unknown' is not registered"
    assert re.search(rf"\d s  worker-1 +{told}", up.output), up.output
    assert 'good on "' in up.output


@pytest.mark.parametrize("others", ["", ",good"])
def test_a_model_that_makes_no_vectors_is_served_all_the_same(
    start_up: Callable[..., Up], others: str
) -> None:
    up = start_up(SIE_PRELOAD_MODELS=f"reranker{others}")
    up.wait_for("Ctrl-C stops everything")
    assert ('good on "' in up.output) == bool(others)
    assert up.process.poll() is None


def test_a_gateway_that_wants_a_token_is_asked_under_the_callers(
    start_up: Callable[..., Up],
) -> None:
    up = start_up(STAND_IN_TOKEN="secret", SIE_API_KEY="secret")
    up.wait_for("Ctrl-C stops everything")
    assert "first embedding" in up.output
    assert up.output.count('-H "Authorization: Bearer $SIE_API_KEY"') == 2
    assert "secret" not in up.output


def test_without_the_token_it_says_what_is_missing(start_up: Callable[..., Up]) -> None:
    up = start_up(STAND_IN_TOKEN="secret")
    assert up.process.wait(60) == 1
    assert "set SIE_API_KEY" in up.output


def test_a_gateway_with_a_certificate_is_asked_as_its_callers_ask(
    start_up: Callable[..., Up], certificates: Path
) -> None:
    files = {"SIE_TLS_CERT": "server.pem", "SIE_TLS_KEY": "server.key"}
    up = start_up(**{variable: str(certificates / name) for variable, name in files.items()})
    up.wait_for("Ctrl-C stops everything")
    assert f"  https://127.0.0.1:{up.ports[0]}, gRPC" in up.output
    trust = certificates / "server.pem"
    for hint in (f"curl -s --cacert {trust} https://127", f"-cacert {trust}", f"--ca-file {trust}"):
        assert hint in up.output
    assert "-plaintext" not in up.output


def test_a_certificate_that_nobody_here_can_trust_is_said_to_be_none(
    start_up: Callable[..., Up], certificates: Path
) -> None:
    files = {
        "SIE_TLS_CERT": "server.pem",
        "SIE_TLS_KEY": "server.key",
        "SIE_TLS_CLIENT_CA": "ca.pem",
        "SIE_CA_FILE": "client.pem",
        "SIE_CERTIFICATE": "client.pem",
        "SIE_PRIVATE_KEY": "client.key",
    }
    up = start_up(**{variable: str(certificates / name) for variable, name in files.items()})
    up.wait_for("Ctrl-C stops everything")
    assert "first embedding" in up.output
    assert "Callers on this machine cannot trust its certificate: " in up.output
    assert "curl" not in up.output


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({"SIE_TLS_CLIENT_CA": "ca.pem"}, "set SIE_CERTIFICATE"),
        ({"SIE_AUTH_MODE": "static", "SIE_AUTH_TOKEN": "secret"}, "set SIE_API_KEY"),
    ],
)
def test_what_callers_would_need_is_asked_for_before_anything_starts(
    start_up: Callable[..., Up], settings: dict[str, str], missing: str
) -> None:
    up = start_up(**settings)
    assert up.process.wait(60) == 1
    assert missing in up.output
    assert not up.data_dir.exists()


def test_what_the_environment_says_of_storage_holds_and_of_the_host_is_passed_over(
    start_up: Callable[..., Up], tmp_path: Path
) -> None:
    cache = str(tmp_path / "shared")
    up = start_up(SIE_STREAM_STORAGE="file", SIE_CACHE_DIR=cache, SIE_HOST="0.0.0.0")
    up.wait_for("Ctrl-C stops everything")
    pids = up.children()
    settings = {
        name: Path(f"/proc/{pids[name]}/environ").read_text().split("\0")
        for name in ("config_service", "worker", "gateway")
    }
    assert "SIE_STREAM_STORAGE=file" in settings["config_service"]
    assert f"SIE_CACHE_DIR={cache}" in settings["worker"]
    assert "SIE_HOST=127.0.0.1" in settings["gateway"]
    assert "SIE_HOST=0.0.0.0 is passed over" in up.output
    # Apart from that of a stack on memory, in which a stream on disk could not become one of these.
    assert (up.data_dir / "broker-file").is_dir()


def test_nothing_to_serve_is_an_error_that_says_why(start_up: Callable[..., Up]) -> None:
    up = start_up(SIE_PRELOAD_MODELS="bad", STAND_IN_FAILED="bad")
    assert up.process.wait(60) == 1
    assert "0 of 1 models loaded; model 'bad': no folder\n" in up.output
    assert "Error: no model could be loaded" in up.output
    assert "SIE_PRELOAD_MODELS names others" in up.output


def test_a_second_ctrl_c_ends_at_once(start_up: Callable[..., Up]) -> None:
    up = start_up(STAND_IN_IGNORES_SIGTERM="1")
    up.wait_for("Ctrl-C stops everything")
    pids = list(up.children().values())
    up.process.send_signal(signal.SIGINT)
    up.wait_for("stopping")
    begin = time.monotonic()
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 128 + signal.SIGINT
    assert time.monotonic() - begin < 2
    wait_until_gone(pids)


def test_nothing_survives_a_killed_supervisor(start_up: Callable[..., Up]) -> None:
    up = start_up(STAND_IN_IGNORES_SIGTERM="1")
    up.wait_for("Ctrl-C stops everything")
    pids = list(up.children().values())
    up.process.kill()
    up.process.wait()
    wait_until_gone(pids)


def test_a_child_that_is_killed_comes_back(start_up: Callable[..., Up]) -> None:
    up = start_up()
    up.wait_for("Ctrl-C stops everything")
    os.kill(up.children()["worker"], signal.SIGKILL)
    up.wait_for("worker-1 ended (exit code 137")
    up.wait_for("worker-1 is ready again")


def test_a_child_that_cannot_start_is_an_error_with_its_log(
    start_up: Callable[..., Up], tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "worker.py").write_text("raise SystemExit('no such bundle: gpu')")
    path = os.pathsep.join([str(broken), str(STAND_INS), *sys.path])
    up = start_up(PYTHONPATH=path)
    assert up.process.wait(60) == 1
    assert "Error: worker-1 ended with exit code 1 while starting" in up.output
    assert "no such bundle: gpu" in up.output
    assert str(up.data_dir / "logs" / "worker-1.log") in up.output
    assert not up.children()


def test_one_that_ends_while_others_start_is_an_error(
    start_up: Callable[..., Up], tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    ends = "import os, threading\nfrom stand_in import serve\n"
    ends += "threading.Timer(2, os._exit, [7]).start()\nserve('SIE_CONFIG_HTTP_PORT')\n"
    (broken / "config_service.py").write_text(ends)
    (broken / "worker.py").write_text("import time\ntime.sleep(60)\n")
    up = start_up(PYTHONPATH=os.pathsep.join([str(broken), str(STAND_INS), *sys.path]))
    up.wait_for("  config ")
    assert up.process.wait(30) == 1
    assert "Error: config ended with exit code 7 while starting" in up.output


def test_a_folder_in_use_is_an_error(start_up: Callable[..., Up]) -> None:
    first = start_up()
    first.wait_for("broker")
    second = start_up()
    assert second.process.wait(60) == 1
    assert f"another `sie up` uses {first.data_dir}" in second.output
