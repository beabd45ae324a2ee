"""Services work with the rights that the chart's broker gives them, and have no others."""

import asyncio
import base64
import http.client
import json
import socket
from typing import Any

import nats
import pytest

from cli.local_stack import DEFAULT_MODEL
from cli.ports import HOST
from servicekit import subjects
from tests.charts.chart_stack import ChartStack
from tests.charts.rendering import of_kind, render
from tests.waiting import until

_FORGERIES = [
    ("worker", subjects.WORK_PREFIX + ".default.cpu.default.x"),
    ("worker", "$KV.sie_registry.x"),
    ("worker", "$JS.API.STREAM.DELETE.SIE_WORK_default"),
    ("gateway", "$JS.API.STREAM.PURGE.SIE_WORK_default"),
    ("gateway", "$KV.sie_registry.x"),
    ("gateway", "sie.worker.forged.status"),
]


def test_a_sentence_is_encoded(chart_stack: ChartStack) -> None:
    done = chart_stack.encode()
    assert done.returncode == 0, done.stderr
    assert "dense" in done.stdout


def test_the_helm_test_fails_where_the_model_is_unknown(chart_stack: ChartStack) -> None:
    done = chart_stack.encode("no/such-model")
    assert done.returncode != 0
    assert "no/such-model" in done.stderr


def test_a_request_that_is_too_large_for_a_message_is_served(chart_stack: ChartStack) -> None:
    connection = http.client.HTTPConnection(chart_stack.http_address, timeout=60)
    body = json.dumps({"items": [{"text": "word " * 1_800_000}]})
    connection.request("POST", f"/v1/encode/{DEFAULT_MODEL}", body)
    reply = connection.getresponse()
    assert reply.status == 200, reply.read()[:300]
    connection.close()


def test_a_batch_is_run(chart_stack: ChartStack) -> None:
    line = {
        "custom_id": "a",
        "method": "POST",
        "url": f"/v1/encode/{DEFAULT_MODEL}",
        "body": {"items": [{"text": "word"}]},
    }
    begin = {"input": json.dumps(line), "endpoint": "/v1/encode"}
    batch = _ask(chart_stack, "POST", "/v1/batches", begin)

    def completed() -> dict[str, Any] | None:
        found = _ask(chart_stack, "GET", f"/v1/batches/{batch['id']}")
        return found if found["status"] == "completed" else None

    found = until(completed, 120, "a completed batch")
    content = _ask(chart_stack, "GET", f"/v1/files/{found['output_file_id']}/content")
    assert content["response"]["status_code"] == 200
    for path in ("batches/" + batch["id"], "files/" + found["output_file_id"]):
        assert _ask(chart_stack, "DELETE", f"/v1/{path}")["deleted"]


def _ask(stack: ChartStack, method: str, path: str, body: object = None) -> dict[str, Any]:
    connection = http.client.HTTPConnection(stack.http_address, timeout=60)
    connection.request(method, path, None if body is None else json.dumps(body))
    reply = connection.getresponse()
    read = reply.read()
    connection.close()
    assert reply.status in (200, 201), read[:300]
    found: dict[str, Any] = json.loads(read)
    return found


def test_the_broker_refused_nothing_that_services_do(chart_stack: ChartStack) -> None:
    chart_stack.encode()
    log = (chart_stack.logs_dir / "broker.log").read_text().splitlines()
    refused = [line for line in log if "Violation" in line]
    forged = tuple(f'Subject "{subject}"' for _, subject in _FORGERIES)
    assert not [line for line in refused if not line.endswith(forged)]
    for name in ("gateway-1", "config", "worker-1"):
        assert "ermissions" not in (chart_stack.logs_dir / f"{name}.log").read_text(), name


def test_no_password_reaches_a_log(chart_stack: ChartStack) -> None:
    for name, user in {"gateway-1": "gateway", "config": "config", "worker-1": "worker"}.items():
        log = (chart_stack.logs_dir / f"{name}.log").read_text()
        assert "starting" in log
        assert chart_stack.password(user) not in log


@pytest.mark.parametrize(("user", "subject"), _FORGERIES)
async def test_nobody_may_do_anothers_work(chart_stack, user: str, subject: str) -> None:
    refused = asyncio.Event()

    async def on_error(error: Exception) -> None:
        if "permissions violation" in str(error).lower():
            refused.set()

    client = await nats.connect(chart_stack.url(user), error_cb=on_error)
    try:
        await client.publish(subject, b"")
        await asyncio.wait_for(refused.wait(), 60)
    finally:
        await client.close()


def test_nobody_comes_in_without_a_password(chart_stack: ChartStack) -> None:
    with socket.create_connection((HOST, chart_stack.ports.broker), timeout=60) as connection:
        connection.sendall(b"CONNECT {}\r\nPING\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert b"Authorization Violation" in answer
    assert b"PONG" not in answer


def test_three_replicas_know_each_other() -> None:
    text = of_kind(render("gke"), "ConfigMap")["sie-sie-cluster-nats"]["data"]["nats.conf"]
    for number in range(3):
        assert f"sie-sie-cluster-nats-{number}.sie-sie-cluster-nats-headless:6222" in text
    assert "no_advertise: true" in text


@pytest.mark.parametrize(
    ("values", "path"), [("cpu", "/healthz"), ("gke", "/healthz?js-enabled-only=true")]
)
def test_a_broker_that_has_met_a_full_disk_is_restarted_where_it_is_alone(values, path) -> None:
    broker = of_kind(render(values), "StatefulSet")["sie-sie-cluster-nats"]
    (container,) = broker["spec"]["template"]["spec"]["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == path


def test_passwords_begin_with_a_letter_and_differ() -> None:
    data = of_kind(render("cpu"), "Secret")["sie-sie-cluster-nats"]["data"]
    passwords = [base64.b64decode(each).decode() for each in data.values()]
    assert len(set(passwords)) == 3
    assert all(each[0].isalpha() and each.isalnum() and len(each) == 32 for each in passwords)
