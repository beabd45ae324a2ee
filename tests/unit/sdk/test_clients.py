"""Both clients against a real HTTP server that answers, fails, dawdles and hangs up."""

import asyncio
import json
import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import msgpack
import numpy as np
import pytest

from sie_sdk import Item, SIEAsyncClient, SIEClient, errors
from sie_sdk._http.arrays import pack
from tests.unit.sdk.conftest import MSGPACK, RESET, answer, refusal, vectors
from tests.waiting import until

HEALTH = {
    "type": "gateway",
    "status": "healthy",
    "cluster": {"models_loaded": 1},
    "workers": [
        {"name": "a", "gpu": "l4", "healthy": True, "gpu_count": 1, "bundle": "default"},
        {"name": "b", "gpu": "l4", "healthy": False, "gpu_count": 1, "bundle": "default"},
        {"name": "c", "gpu": "cpu", "healthy": True, "gpu_count": 0, "bundle": "default"},
    ],
}


def test_one_item_gives_one_result_and_several_a_list(gateway, ask):
    result = ask(gateway.url, "encode", "org/model", Item(text="hello"), gpu="l4")
    assert result["dense"].shape == (2,)
    assert result["dense"].dtype == np.float32
    assert result["timing"] == {"total_ms": 1.0}
    results = ask(gateway.url, "encode", "org/model", ["a", {"text": "bb"}])
    assert [each["dense"][0] for each in results] == [1, 2]


def test_a_request_says_what_the_contract_says(gateway, ask):
    options = {"api_key": "secret", "options": {"a": 1, "b": 1}, "headers": {"X-Mine": "1"}}
    ask(
        gateway.url + "/",
        "encode",
        "org/model",
        "hello",
        client_options=options,
        gpu="tenant-abc/l4",
        is_query=True,
        output_types=("dense",),
        output_dtype="int8",
        options={"b": 2},
        timeout_s=7,
        work_class="bulk",
    )
    (request,) = gateway.requests
    assert (request["method"], request["path"]) == ("POST", "/v1/encode/org/model")
    body = msgpack.unpackb(request["body"])
    assert body["items"] == [{"text": "hello"}]
    assert body["params"] == {
        "is_query": True,
        "output_types": ["dense"],
        "output_dtype": "int8",
        "options": {"a": 1, "b": 2},
    }
    headers = request["headers"]
    assert headers["content-type"] == headers["accept"] == MSGPACK
    assert headers["authorization"] == "Bearer secret"
    assert (headers["x-sie-pool"], headers["x-sie-machine-profile"]) == ("tenant-abc", "l4")
    assert (headers["x-sie-work-class"], headers["x-mine"]) == ("bulk", "1")
    assert headers["x-request-timeout"] == "7.000"
    assert headers["x-sie-sdk-version"]


def test_capacity_is_waited_for(gateway, ask):
    gateway.script = [
        refusal(202, "PROVISIONING", retry_after=0.05),
        refusal(503, "MODEL_LOADING", retry_after=0.05),
    ]
    assert ask(gateway.url, "encode", "m", "x")["dense"][0] == 1
    assert len(gateway.requests) == 3


def test_capacity_that_comes_sooner_is_noticed_sooner(gateway, ask, monkeypatch):
    monkeypatch.setattr("sie_sdk._core.capacity._LOOK_EVERY_S", 0.05)
    refused = {"code": "PROVISIONING", "message": "no", "metadata": {"gpu": "l4"}}
    gateway.script = [
        answer(202, {"error": refused}, retry_after=120),
        answer(200, {"workers": [{"gpu": "cpu", "healthy": True}]}),
        answer(200, {"workers": [{"gpu": "l4", "healthy": False}]}),
        answer(200, HEALTH),
    ]
    started = time.monotonic()
    ask(gateway.url, "encode", "m", "x")
    assert time.monotonic() - started < 20
    assert [each["path"] for each in gateway.requests] == [
        "/v1/encode/m",
        *["/health"] * 3,
        "/v1/encode/m",
    ]


def test_who_does_not_wait_is_told_with_the_hint(gateway, ask):
    gateway.always = answer(202, {"gpu": "l4", "message": "soon"}, retry_after=120)
    with pytest.raises(errors.ProvisioningError) as caught:
        ask(gateway.url, "encode", "m", "x", wait_for_capacity=False)
    assert (caught.value.gpu, caught.value.retry_after) == ("l4", 120)


def test_the_budget_bounds_all_attempts(gateway, ask):
    gateway.always = refusal(503, "QUEUE_FULL", retry_after=0.4)
    started = time.monotonic()
    with pytest.raises(errors.ServerError, match="QUEUE_FULL"):
        ask(gateway.url, "encode", "m", "x", provision_timeout_s=2)
    assert 1 <= time.monotonic() - started < 10
    assert 3 <= len(gateway.requests) <= 6


@pytest.mark.parametrize(
    ("reply", "error", "code"),
    [
        (refusal(404, "MODEL_NOT_FOUND"), errors.RequestError, "MODEL_NOT_FOUND"),
        (refusal(429, "QUOTA_EXCEEDED", retry_after=3), errors.RequestError, "QUOTA_EXCEEDED"),
        (refusal(502, "MODEL_LOAD_FAILED"), errors.ModelLoadFailedError, "MODEL_LOAD_FAILED"),
        (answer(500, b"<html>oops"), errors.ServerError, None),
        (answer(400, {"detail": "bad"}), errors.RequestError, None),
        (answer(400, {"message": "bad"}), errors.RequestError, None),
        (
            answer(503, {"status": "gpu_not_configured", "message": "no h100"}),
            errors.ServerError,
            "GPU_NOT_CONFIGURED",
        ),
        (answer(200, b"\xc1", MSGPACK), errors.ServerError, None),
        (answer(200, pack({"items": []}), MSGPACK), errors.ServerError, "UNREADABLE_REPLY"),
        (answer(302, b"", location="http://127.0.0.1:1/"), errors.RequestError, None),
    ],
)
def test_errors_have_types_and_codes(gateway, ask, reply, error, code):
    gateway.always = reply
    with pytest.raises(error) as caught:
        ask(gateway.url, "encode", "m", "x")
    assert type(caught.value) is error
    assert caught.value.code == code
    assert caught.value.message
    assert len(gateway.requests) == 1


def test_a_failed_item_keeps_its_place_and_alone_it_raises(gateway, ask):
    error = {"code": "INVALID_INPUT", "message": "too long", "metadata": {"field": "items[0]"}}
    failed = {"id": "b", "error": error}

    def reply(request):
        items = msgpack.unpackb(request["body"])["items"]
        good = {"id": "a", "dense": {"values": np.zeros(2, "<f4")}}
        return answer(200, pack({"items": [good, failed][-len(items) :]}), MSGPACK)

    gateway.always = reply
    first, second = ask(gateway.url, "encode", "m", ["x", "y"])
    assert (first["id"], second["id"], second["error"]["code"]) == ("a", "b", "INVALID_INPUT")
    assert "dense" not in second
    with pytest.raises(errors.RequestError, match="too long") as caught:
        ask(gateway.url, "encode", "m", "y")
    assert caught.value.metadata == {"field": "items[0]"}


def test_a_connection_that_breaks_is_made_again(gateway, ask):
    gateway.script = [RESET]
    assert ask(gateway.url, "encode", "m", "x")["dense"][0] == 1
    gateway.script = [RESET]
    with pytest.raises(errors.SIEConnectionError):
        ask(gateway.url, "encode", "m", "x", wait_for_capacity=False)


def test_nobody_listening(ask):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(errors.SIEConnectionError):
            ask(url, "encode", "m", "x", wait_for_capacity=False)
        started = time.monotonic()
        with pytest.raises(errors.SIEConnectionError):
            ask(url, "encode", "m", "x", provision_timeout_s=2)
        assert time.monotonic() - started > 0.9


def test_no_such_host_is_told_at_once(ask):
    with pytest.raises(errors.SIEConnectionError):
        ask("http://no-such-host.invalid:1", "encode", "m", "x", provision_timeout_s=60)


def test_a_server_that_does_not_answer_is_not_waited_for_long(gateway, ask, monkeypatch):
    monkeypatch.setattr("sie_sdk._http.transport._GRACE_S", 0.1)
    gateway.script = [answer(200, b"", delay_s=1.0)]
    with pytest.raises(errors.SIEConnectionError, match="no answer in time"):
        ask(gateway.url, "encode", "m", "x", timeout_s=0.2, wait_for_capacity=False)


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
        await asyncio.wait_for(waiting, 10)


async def test_a_cancelled_call_ends_at_once(gateway):
    gateway.always = answer(200, b"", delay_s=1.0)
    async with SIEAsyncClient(gateway.url) as client:
        call = asyncio.create_task(client.encode("m", "x"))
        while not gateway.requests:
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(call, 0.9)


def test_capacity_counts_what_is_healthy(gateway, ask):
    gateway.always = answer(200, HEALTH)
    capacity = ask(gateway.url, "get_capacity", "L4")
    assert (capacity["worker_count"], capacity["gpu_count"]) == (1, 1)
    assert len(capacity["workers"]) == 2
    assert ask(gateway.url, "get_capacity")["worker_count"] == 2
    gateway.always = answer(200, {"type": "worker"})
    with pytest.raises(errors.RequestError) as caught:
        ask(gateway.url, "get_capacity")
    assert caught.value.code == "not_gateway"


def test_waiting_for_capacity_asks_for_it(gateway, ask):
    models = [
        {"name": "pictures", "inputs": ["image"], "tasks": ["encode"], "loaded": True},
        {"name": "texts", "inputs": ["text"], "tasks": ["encode"], "loaded": True},
    ]
    gateway.script = [
        answer(200, {"models": models}),
        refusal(202, "PROVISIONING", retry_after=0.05),
        vectors,
        answer(200, HEALTH),
    ]
    assert ask(gateway.url, "wait_for_capacity", "l4")["worker_count"] == 1
    paths = [each["path"] for each in gateway.requests]
    assert paths == ["/v1/models", "/v1/encode/texts", "/v1/encode/texts", "/health"]
    assert gateway.requests[1]["headers"]["x-sie-machine-profile"] == "l4"


def test_models_come_from_every_page(gateway, ask):
    gateway.script = [
        answer(200, {"models": [{"name": "a"}], "next_page_token": "a b"}),
        answer(200, {"models": [{"name": "b"}]}),
    ]
    assert [each["name"] for each in ask(gateway.url, "list_models")] == ["a", "b"]
    assert gateway.requests[1]["path"] == "/v1/models?page_token=a%20b"


POOL = {"spec": {"name": "tenant-abc", "gpus": {"l4": 2}}, "status": {"state": "pending"}}


def test_pools(gateway, ask):
    gateway.script = [answer(201, POOL)]
    made = ask(gateway.url, "create_pool", "tenant-abc", {"l4": 2})
    assert (made["name"], made["status"]["state"]) == ("tenant-abc", "pending")
    assert json.loads(gateway.requests[0]["body"]) == {"name": "tenant-abc", "gpus": {"l4": 2}}
    gateway.script = [refusal(404, "POOL_NOT_FOUND"), refusal(404, "POOL_NOT_FOUND")]
    assert ask(gateway.url, "get_pool", "tenant-abc") is None
    assert ask(gateway.url, "delete_pool", "tenant-abc") is False
    gateway.script = [answer(200, {"revision": "3"}), refusal(400, "INVALID_INPUT")]
    assert ask(gateway.url, "delete_pool", "tenant-abc") is True
    with pytest.raises(errors.PoolError) as caught:
        ask(gateway.url, "create_pool", "x", {"l4": 0})
    assert (caught.value.pool_name, caught.value.code) == ("x", "INVALID_INPUT")


def test_a_lease_is_renewed_until_its_pool_is_deleted(gateway):
    gateway.always = answer(200, POOL)
    with SIEClient(gateway.url) as client:
        with client.pool("tenant-abc", {"l4": 2}, ttl_seconds=0.2) as pool:
            assert pool["name"] == "tenant-abc"
            # Failures are tried again, and nobody is disturbed.
            gateway.script = [RESET]
            while sum(each["path"].endswith("/renew") for each in gateway.requests) < 3:
                time.sleep(0.01)
        renewal = next(each for each in gateway.requests if each["path"].endswith("/renew"))
        assert (renewal["method"], renewal["body"]) == ("POST", b"")
        assert gateway.requests[-1]["method"] == "DELETE"
        time.sleep(0.2)
        assert gateway.requests[-1]["method"] == "DELETE"
    assert not [t for t in threading.enumerate() if t.name.startswith("sie-sdk")]


async def test_a_lease_is_renewed_beside_the_event_loop(gateway):
    gateway.always = answer(200, POOL)
    async with SIEAsyncClient(gateway.url) as client:
        await client.create_pool("tenant-abc", {"l4": 2}, ttl_seconds=0.2)
        await client.create_pool("tenant-abc", {"l4": 2}, ttl_seconds=0.2)
        while sum(each["path"].endswith("/renew") for each in gateway.requests) < 2:
            await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_a_proxy_is_not_asked_for_this_machine(gateway, ask, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert ask(gateway.url, "encode", "m", "x", wait_for_capacity=False)
    with pytest.raises(errors.SIEConnectionError, match=r"refused|attempts failed"):
        ask("http://10.255.255.1:80", "encode", "m", "x", wait_for_capacity=False)


def test_a_server_far_from_ours_is_warned_of_once(gateway, caplog):
    gateway.always = lambda request: {**vectors(request), "x-sie-server-version": "7.0.0"}
    with SIEClient(gateway.url) as client, caplog.at_level(logging.WARNING):
        client.encode("m", "x")
        client.encode("m", "x")
    assert [record.message for record in caplog.records if "7.0.0" in record.message] == [
        "the server is version 7.0.0, this SDK 0.1.0"
    ]


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://host", "http://", ""])
def test_an_address_needs_a_scheme_of_ours(url):
    with pytest.raises(ValueError, match="address is like"):
        SIEClient(url)


@pytest.mark.parametrize("model", ["", "a/../b", "..", "/a", "a//b"])
def test_a_model_id_stays_in_its_place(gateway, ask, model):
    with pytest.raises(ValueError, match="model id"):
        ask(gateway.url, "encode", model, "x")
    assert not gateway.requests


@pytest.mark.parametrize(
    ("items", "more", "field"),
    [
        ([{"id": "a", "text": "x"}, "a\ud800"], {}, "items[1].text"),
        ("x", {"instruction": "\ud800"}, "params.instruction"),
    ],
)
def test_what_cannot_be_sent_is_named_by_its_field(gateway, ask, items, more, field):
    with pytest.raises(errors.RequestError) as caught:
        ask(gateway.url, "encode", "m", items, **more)
    assert (caught.value.code, caught.value.metadata) == ("INVALID_INPUT", {"field": field})
    assert not gateway.requests


def test_mistakes_are_told_where_they_are_made(gateway, ask):
    with pytest.raises(TypeError, match="'colour'"):
        ask(gateway.url, "encode", "m", {"text": "x", "colour": 1})
    with pytest.raises(TypeError, match="'dtype'"):
        ask(gateway.url, "encode", "m", "x", dtype="int8")
    with pytest.raises(TypeError, match="not int"):
        ask(gateway.url, "encode", "m", [1])
    assert not gateway.requests
