"""Capacity, models and pools, against a real HTTP server."""

import asyncio
import json
import threading
import time

import pytest

from sie_sdk import SIEAsyncClient, SIEClient, errors
from tests.unit.sdk.conftest import HEALTH, RESET, answer, refusal, vectors

POOL = {"spec": {"name": "tenant-abc", "gpus": {"l4": 2}}, "status": {"state": "pending"}}


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
