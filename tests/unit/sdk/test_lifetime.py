"""Clients that are shared, closed and cancelled, against a real HTTP server."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from sie_sdk import SIEAsyncClient, SIEClient, errors
from tests.unit.sdk.conftest import answer, refusal


def test_a_connection_serves_many_calls(gateway):
    with SIEClient(gateway.url) as client:
        for _ in range(10):
            client.encode("m", "x")
        assert len(gateway.connections) == 1


def test_a_client_is_shared_by_threads(gateway):
    with SIEClient(gateway.url) as client, ThreadPoolExecutor(16) as threads:
        lengths = threads.map(lambda n: client.encode("m", "x" * n)["dense"][0], range(200))
        assert list(lengths) == list(range(200))


def test_closing_wakes_whoever_waits(gateway):
    gateway.always = refusal(503, "QUEUE_FULL", retry_after=60)
    client = SIEClient(gateway.url)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(client.encode, "m", "x")
        while not gateway.requests:
            time.sleep(0.01)
        client.close()
        with pytest.raises(errors.ClientClosedError):
            waiting.result(timeout=10)
    with pytest.raises(errors.ClientClosedError):
        client.list_models()


async def test_closing_wakes_tasks_that_wait(gateway):
    gateway.always = refusal(503, "QUEUE_FULL", retry_after=60)
    client = SIEAsyncClient(gateway.url)
    waiting = asyncio.create_task(client.encode("m", "x"))
    while not gateway.requests:
        await asyncio.sleep(0.01)
    await client.close()
    with pytest.raises(errors.ClientClosedError):
        await asyncio.wait_for(waiting, 30)


async def test_a_cancelled_call_ends_at_once(gateway):
    gateway.always = answer(200, b"", delay_s=1.0)
    async with SIEAsyncClient(gateway.url) as client:
        call = asyncio.create_task(client.encode("m", "x"))
        while not gateway.requests:
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(call, 0.9)
