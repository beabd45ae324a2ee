import asyncio
import time

import pytest

from gateway.endpoint import snake_case
from gateway.request_id import request_id_of
from servicekit import logs
from servicekit.errors import SieError, code_of
from sie.inference.v1.inference_service_pb2 import EncodeRequest
from tests.unit.gateway.support import NO_NUMBERS

ENCODE = "/sie.inference.v1.InferenceService/Encode"


async def failure(call):
    with pytest.raises(SieError) as caught:
        await call
    return caught.value


@pytest.mark.parametrize(
    ("metadata", "timeout_s", "seconds"),
    [
        ({}, None, 5),
        ({}, 2, 2),
        ({}, 1000, 30),
        ({"x-request-timeout": "3.5"}, None, 3.5),
        ({"x-request-timeout": "3.5"}, 2, 2),
        ({"x-request-timeout": "999"}, None, 30),
    ],
)
async def test_the_deadline_is_the_nearest_bound(api, inference, metadata, timeout_s, seconds):
    before = time.time()
    await api.call(api.endpoints[ENCODE], EncodeRequest(model="m"), metadata, timeout_s)
    assert inference.calls[0].deadline - before == pytest.approx(seconds, abs=0.2)


@pytest.mark.parametrize("text", [*NO_NUMBERS, "0", "-1"])
async def test_a_timeout_that_is_no_number_of_seconds_is_refused(api, inference, text):
    call = api.call(api.endpoints[ENCODE], EncodeRequest(model="m"), {"x-request-timeout": text})
    error = await failure(call)
    assert code_of(error.reason) == "INVALID_INPUT"
    assert error.metadata == {"field": "x-request-timeout"}
    assert inference.calls == []


async def test_a_handler_that_runs_past_the_deadline_is_cancelled(api, inference):
    error = await failure(api.call(api.endpoints[ENCODE], EncodeRequest(model="slow"), {}, 0.02))
    assert code_of(error.reason) == "DEADLINE_EXCEEDED"
    assert error.metadata == {"timeout_ms": "20"}
    assert inference.cancelled.is_set()


async def test_a_deadline_in_the_past_ends_before_the_handler(api, inference):
    error = await failure(api.call(api.endpoints[ENCODE], EncodeRequest(model="m"), {}, 0))
    assert code_of(error.reason) == "DEADLINE_EXCEEDED"
    assert inference.calls == []


async def test_the_request_id_reaches_the_log_and_the_reply(api):
    reply = await api.call(api.endpoints[ENCODE], EncodeRequest(), {"x-request-id": "abc"})
    assert reply.headers["x-sie-request-id"] == "abc"
    assert logs.request_id.get() == "abc"


async def test_headers_that_an_implementation_keeps_do_not_gather_request_ids(api, inference):
    replies = [
        await api.call(api.endpoints[ENCODE], EncodeRequest(), {"x-request-id": given})
        for given in ("a", "b")
    ]
    assert [reply.headers["x-sie-request-id"] for reply in replies] == ["a", "b"]
    assert inference.headers == {"x-sie-worker": "worker-1"}


async def test_an_unexpected_failure_is_bland_outside_and_whole_in_the_log(api, caplog):
    error = await failure(api.call(api.endpoints[ENCODE], EncodeRequest(model="broken"), {}))
    assert code_of(error.reason) == "INTERNAL_ERROR"
    assert "a secret" not in str(error)
    assert "a secret" in caplog.text


async def test_draining_waits_for_accepted_calls_and_refuses_new_ones(api, inference):
    slow = api.call(api.endpoints[ENCODE], EncodeRequest(model="slow"), {}, 0.1)
    accepted = asyncio.create_task(slow)
    await asyncio.sleep(0)
    drained = asyncio.create_task(api.drain(5))
    await asyncio.sleep(0)
    error = await failure(api.call(api.endpoints[ENCODE], EncodeRequest(), {}))
    assert code_of(error.reason) == "SHUTTING_DOWN"
    assert not drained.done()
    await failure(accepted)
    assert await drained == 0


async def test_a_drain_gives_up_after_its_timeout(api):
    slow = api.call(api.endpoints[ENCODE], EncodeRequest(model="slow"), {}, 0.2)
    accepted = asyncio.create_task(slow)
    await asyncio.sleep(0)
    assert await api.drain(0.01) == 1
    await failure(accepted)


def test_request_ids_sort_by_time():
    first = request_id_of({})
    time.sleep(0.002)
    second = request_id_of({})
    assert first < second
    assert (len(first), first[14]) == (36, "7")


@pytest.mark.parametrize(
    ("name", "snake"), [("Encode", "encode"), ("GetModel", "get_model"), ("A1B", "a1_b")]
)
def test_rpc_names_become_method_names(name, snake):
    assert snake_case(name) == snake
