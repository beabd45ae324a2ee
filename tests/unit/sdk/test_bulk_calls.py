"""Many items in one call, and iterators, against a real HTTP server."""

import asyncio
import threading

import pytest

from sie_sdk import SIEAsyncClient, SIEClient, errors
from tests.unit.sdk.conftest import refusal, vectors
from tests.waiting import until


def test_many_items_are_several_requests_in_order(gateway, ask):
    gateway.always = lambda request: {**vectors(request), "delay": 0.02}
    texts = ["x" * (number % 50) for number in range(1000)]
    told = []
    results = ask(
        gateway.url,
        "encode",
        "m",
        texts,
        batch_size=64,
        in_flight=3,
        progress=lambda *each: told.append(each),
    )
    assert [each["dense"][0] for each in results] == list(map(len, texts))
    assert len(gateway.requests) == 16
    assert 1 < gateway.most_at_once <= 3
    assert told[-1] == (1000, 1000)


def test_progress_ends_with_the_total_also_where_it_was_not_known(gateway, ask):
    told = []
    texts = ("x" for _ in range(30))
    ask(gateway.url, "encode_iter", "m", texts, batch_size=10, progress=lambda *d: told.append(d))
    assert told[-1] == (30, 30)


def test_an_iterator_is_read_no_further_than_needed(gateway):
    read = []

    def texts():
        for number in range(100_000):
            read.append(number)
            yield "x"

    with SIEClient(gateway.url) as client:
        results = client.encode_iter("m", texts(), batch_size=10, in_flight=2)
        assert next(results)["dense"][0] == 1
        assert len(read) <= 50
        results.close()


def test_a_bulk_call_that_fails_leaves_no_thread_behind(gateway):
    waiting = refusal(503, "QUEUE_FULL", retry_after=60)
    gateway.always = lambda request: (
        {**refusal(400, "INVALID_INPUT"), "delay": 0.2} if b"bad" in request["body"] else waiting
    )
    with SIEClient(gateway.url) as client:
        with pytest.raises(errors.RequestError):
            client.encode("m", ["bad", *["good"] * 3], batch_size=1)
        until(lambda: not any(each.name.startswith("sie-sdk") for each in threading.enumerate()))


async def test_an_async_iterator_that_is_left_leaves_nothing_behind(gateway):
    gateway.always = lambda request: {**vectors(request), "delay": 0.05}
    async with SIEAsyncClient(gateway.url) as client:
        results = client.encode_iter("m", ("x" for _ in range(100_000)), batch_size=10)
        async for _ in results:
            break
        await results.aclose()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others
    assert len(gateway.requests) < 20


def test_an_error_ends_an_iterator_where_it_belongs(gateway, ask):
    gateway.script = [vectors, refusal(400, "INVALID_INPUT")]
    gateway.always = refusal(400, "INVALID_INPUT")
    with pytest.raises(errors.RequestError):
        ask(gateway.url, "encode_iter", "m", ["x"] * 100, batch_size=10)


def test_bulk_work_waits_for_its_quota_and_a_single_call_does_not(gateway, ask):
    refused = refusal(429, "QUOTA_EXCEEDED", retry_after=0.05)
    gateway.script = [refused]
    assert len(ask(gateway.url, "encode", "m", ["x", "y"])) == 2
    gateway.script = [refused]
    with pytest.raises(errors.RequestError):
        ask(gateway.url, "encode", "m", "x")
