import asyncio

import orjson
import pytest
from prometheus_client import CollectorRegistry, Gauge

from servicekit.probes import Probes


@pytest.fixture
async def probes():
    metrics = CollectorRegistry()
    Gauge("sie_answer", "The answer.", registry=metrics).set(42)
    reasons = []
    served = Probes("127.0.0.1", 0, live=list, ready=lambda: reasons, metrics=metrics)
    served.reasons = reasons
    async with served:
        yield served


async def exchange(probes, request):
    reader, writer = await asyncio.open_connection("127.0.0.1", probes.port)
    writer.write(request)
    reply = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    await writer.wait_closed()
    head, _, body = reply.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


async def get(probes, path):
    return await exchange(probes, b"GET %s HTTP/1.1\r\nhost: x\r\n\r\n" % path)


async def test_ready_says_why_not(probes):
    assert await get(probes, b"/readyz") == (200, b'{"status":"ok","reasons":[]}')
    probes.reasons.append("the broker is away")
    status, body = await get(probes, b"/readyz?verbose=1")
    assert (status, orjson.loads(body)["reasons"]) == (503, ["the broker is away"])
    assert (await get(probes, b"/healthz"))[0] == 200


async def test_metrics_are_prometheus_text(probes):
    status, body = await get(probes, b"/metrics")
    assert status == 200
    assert b"sie_answer 42.0" in body


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /nothing HTTP/1.1\r\n\r\n", 404),
        (b"POST /healthz HTTP/1.1\r\n\r\n", 405),
        (b"HEAD /healthz HTTP/1.0\r\n\r\n", 200),
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01 \x00\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nx: " + b"y" * 20_000 + b"\r\n\r\n", 431),
    ],
)
async def test_anything_else_gets_a_plain_refusal(probes, request_bytes, status):
    assert (await exchange(probes, request_bytes))[0] == status
    assert (await get(probes, b"/healthz"))[0] == 200


async def test_a_client_that_hangs_up_harms_nobody(probes):
    _, writer = await asyncio.open_connection("127.0.0.1", probes.port)
    writer.write(b"GET /hea")
    writer.close()
    await writer.wait_closed()
    assert (await get(probes, b"/healthz"))[0] == 200
