"""`sie doctor` against clusters that are well, and against parts that are broken in fact."""

import asyncio
import contextlib
import http.server
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest
import yaml
from click.testing import CliRunner
from nats.js.errors import APIError

from cli.__main__ import main
from cli.local_stack import DEFAULT_MODEL, LocalStack
from servicekit.subjects import Lane, work_subject
from tests import broker
from tests.asking import ask
from tests.waiting import until


def doctor(stack: LocalStack, *arguments: str, url: str = "") -> tuple[int, list[dict]]:
    """Exit code and findings."""
    command = ["doctor", url or f"http://{stack.http_address}", "--json"]
    done = CliRunner().invoke(main, [*command, "--data-dir", str(stack.directory), *arguments])
    assert done.exit_code in (0, 1), done.output
    findings = json.loads(done.stdout)["findings"]
    assert json.loads(done.stdout)["ok"] == (done.exit_code == 0)
    return done.exit_code, findings


def bad(findings: list[dict]) -> dict[str, str]:
    """What does not work or may not for long, by check; each with something to do about it."""
    found = [each for each in findings if each["level"] in ("warning", "failure")]
    assert all(each["advice"] for each in found)
    told: dict[str, list[str]] = {}
    for each in found:
        told.setdefault(each["check"], []).append(f"{each['level']}: {each['message']}")
    return {check: "; ".join(messages) for check, messages in told.items()}


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[LocalStack]:
    """A cluster with a model that is nowhere, and a queue for two requests."""
    (tmp_path / "models").mkdir()
    model = {
        "model_id": "lost",
        "sources": [{"directory": str(tmp_path / "nowhere")}],
        "inputs": ["text"],
        "tasks": {"encode": {"dense": {"dims": 24}}},
    }
    (tmp_path / "models" / "lost.yaml").write_text(yaml.safe_dump(model))
    env = {"SIE_MODELS_DIR": str(tmp_path / "models"), "SIE_PRELOAD_MODELS": ""}
    with LocalStack(tmp_path / "stack", env=env) as stack:
        stack.start_broker()
        stack.start_config(SIE_STREAM_MAX_MESSAGES="2")
        stack.start_gateway()
        for process in stack.processes.values():
            process.wait_ready(60)
        yield stack


def _another_version(folder: Path) -> str:
    """A folder in which this project is installed as another version."""
    (folder / "sie-0.0.9.dist-info").mkdir(parents=True)
    metadata = "Metadata-Version: 2.1\nName: sie\nVersion: 0.0.9\n"
    (folder / "sie-0.0.9.dist-info" / "METADATA").write_text(metadata)
    return str(folder)


def test_a_cluster_that_is_well(stack: LocalStack) -> None:
    code, findings = doctor(stack)
    assert (code, bad(findings)) == (0, {})
    checks = {each["check"] for each in findings}
    assert checks >= {"gateway", "broker", "config", "workers", "versions", "clocks", "streams"}
    assert checks >= {"disk", "ports", "gpu"}


def test_as_text(stack: LocalStack) -> None:
    # Without its folder the doctor would look at what another `sie up` has left in this one.
    command = ["doctor", f"http://{stack.http_address}", "--data-dir", str(stack.directory)]
    # Other tests may keep the cluster busier than a doctor likes, for a moment.
    for _ in range(60):
        done = CliRunner().invoke(main, command)
        if done.exit_code == 0:
            break
        time.sleep(0.5)
    assert done.exit_code == 0, done.output
    assert "ok       workers   2 of 2 ready" in done.output


async def _fill_queue(url: str) -> None:
    client = await nats.connect(url)
    subject = work_subject(Lane("default", "l4", "none"), "lost")
    # Until it refuses; what was asked before may still be in it.
    with contextlib.suppress(APIError):
        for _ in range(3):
            await client.jetstream().publish(subject, b"")
    await client.close()


def test_it_names_what_is_broken(broken: LocalStack, tmp_path: Path) -> None:
    # Nobody computes.
    code, findings = doctor(broken)
    assert code == 0
    assert bad(findings).keys() == {"workers"}
    assert doctor(broken, "--strict")[0] == 1

    # Two versions, and a model that cannot be loaded.
    path = broken._common_env("old")["PYTHONPATH"]
    old = _another_version(tmp_path / "old")
    broken.start_worker("old", PYTHONPATH=f"{old}:{path}").wait_ready(60)
    body = {"items": [{"text": "hello"}]}
    until(lambda: ask(broken.http_address, "POST", "/v1/encode/lost", body).status == 502)
    until(lambda: {"models", "versions"} <= bad(doctor(broken)[1]).keys())
    code, findings = doctor(broken)
    found = bad(findings)
    assert code == 1
    assert found.keys() == {"models", "versions"}
    assert "old cannot load lost" in found["models"]
    assert "0.0.9: old" in found["versions"]
    assert "config service" in found["versions"]

    # A full queue: two messages for a lane that nobody has.
    asyncio.run(_fill_queue(broken.nats_url))
    assert "is 100% full" in bad(doctor(broken)[1])["streams"]

    # A disk with less room than it should have.
    assert "less than" in bad(doctor(broken, "--min-disk-gib", "1e9")[1])["disk"]

    broken.processes["config"].kill()
    until(lambda: "cannot be reached" in bad(doctor(broken)[1]).get("config", ""))
    broker.stop(broken)
    until(lambda: "broker" in bad(doctor(broken)[1]))
    code, findings = doctor(broken)
    found = bad(findings)
    assert code == 1
    assert "broker is not connected" in found["gateway"]
    assert "does not listen" in found["ports"]


def test_a_broker_without_room(tmp_path: Path) -> None:
    with LocalStack(tmp_path / "stack") as stack:
        stack.start_broker()
        stack.start_config(SIE_STREAM_MAX_BYTES=str(10**15))
        stack.start_gateway()
        until(lambda: "insufficient" in bad(doctor(stack)[1]).get("processes", ""))
        until(lambda: "registry was not read" in bad(doctor(stack)[1])["gateway"])
        assert "SIE_WORK_default" in bad(doctor(stack)[1])["streams"]


def test_a_gateway_that_wants_a_token(stack: LocalStack, monkeypatch) -> None:
    gateway = stack.start_gateway("doctors", SIE_AUTH_MODE="static", SIE_AUTH_TOKEN="t1")
    gateway.wait_ready(60)
    url = f"http://127.0.0.1:{gateway.env['SIE_HTTP_PORT']}"
    try:
        assert "token" in bad(doctor(stack, url=url)[1])["cluster"]
        monkeypatch.setenv("SIE_API_KEY", "t1")
        code, findings = doctor(stack, url=url)
        assert "cluster" not in bad(findings)
        assert code == 0
    finally:
        gateway.terminate()
        gateway.wait(60)


def test_a_gateway_that_wants_a_certificate(stack: LocalStack, certificates: Path) -> None:
    tls = {"SIE_TLS_CERT": "server.pem", "SIE_TLS_KEY": "server.key", "SIE_TLS_CLIENT_CA": "ca.pem"}
    files = {variable: str(certificates / name) for variable, name in tls.items()}
    gateway = stack.start_gateway("sealed", **files)
    url = f"https://localhost:{gateway.env['SIE_HTTP_PORT']}"
    ours = ("--certificate", str(certificates / "client.pem"))
    ours += ("--private-key", str(certificates / "client.key"))
    trust = ("--ca-file", str(certificates / "ca.pem"))
    try:
        until(lambda: "gateway" not in bad(doctor(stack, *trust, *ours, url=url)[1]))
        findings = doctor(stack, *trust, *ours, url=url)[1]
        assert {"gateway", "config", "workers"} <= {each["check"] for each in findings}
        # Whom it does not trust, and who does not trust it.
        assert "certificate verify failed" in bad(doctor(stack, *ours, url=url)[1])["gateway"]
        assert "nobody answers" in bad(doctor(stack, *trust, url=url)[1])["gateway"]
        ports = (gateway.env["SIE_HTTP_PORT"], gateway.env["SIE_GRPC_PORT"])
        http, grpc = (f"127.0.0.1:{port}" for port in ports)
        asked = ["status", "--http-address", http, "--address", grpc, *trust]
        status = CliRunner().invoke(main, [*asked, *ours])
        assert status.output.startswith(f"gateway  {http}  ready\n"), status.output
        assert "--certificate" in CliRunner().invoke(main, asked).output
        swapped = ("--certificate", str(certificates / "client.key"))
        refused = CliRunner().invoke(main, ["doctor", url, *trust, *swapped])
        assert "certificate files cannot be used" in refused.output
        _helm_test_comes_in(url, certificates)
    finally:
        gateway.terminate()
        gateway.wait(20)


def _helm_test_comes_in(url: str, certificates: Path) -> None:
    script = Path(__file__).parents[2] / "charts" / "sie-cluster" / "files" / "encode.py"
    env = {"URL": url, "MODEL": DEFAULT_MODEL, "TIMEOUT_SECONDS": "0"}
    command = [sys.executable, str(script)]
    refused = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
    assert refused.returncode == 1
    env |= {
        "CERTIFICATE": str(certificates / "client.pem"),
        "PRIVATE_KEY": str(certificates / "client.key"),
        "TIMEOUT_SECONDS": "60",
    }
    done = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "dense" in done.stdout


def test_nobody_and_somebody_else(stack: LocalStack) -> None:
    assert "nobody answers" in bad(doctor(stack, url="http://127.0.0.1:9")[1])["gateway"]
    other = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{other.server_port}"
    assert "another program" in bad(doctor(stack, url=url)[1])["gateway"]
    other.shutdown()
    other.server_close()
    refused = CliRunner().invoke(main, ["doctor", "localhost:8080"])
    assert refused.exit_code == 1
    assert "is no address" in refused.output
