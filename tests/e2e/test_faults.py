"""Faults, with real processes and a real broker: every accepted request ends, and rightly.

An outcome is right if it is the very vectors that the reference has for the texts that were
sent, or one typed error that says it may be retried, within the request's deadline.
"""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from cli.local_stack import LocalStack
from tests.e2e.conftest import ENCODE, GOLDEN, HttpReply, ask

TEXTS = json.loads((GOLDEN / "texts.json").read_bytes())
REFERENCE = np.load(GOLDEN / "reference.npy")
TOLERANCE = 1e-5
RETRYABLE = {202, 429, 503, 504}


def encode(address: str, indices: list[int], timeout_s: float = 30.0) -> HttpReply:
    """Sends some texts and checks that the reply is theirs, or that it may be retried."""
    body = {"items": [{"id": str(index), "text": TEXTS[index]} for index in indices]}
    headers = {"x-request-timeout": str(timeout_s)}
    started = time.monotonic()
    reply = ask(address, "POST", ENCODE, body, headers, timeout=timeout_s + 10)
    assert time.monotonic() - started < timeout_s + 1
    if reply.status != 200:
        assert reply.status in RETRYABLE, reply.body
        assert reply.json()["error"]["retry_after_s"] > 0
        return reply
    items = reply.json()["items"]
    assert [item["id"] for item in items] == [str(index) for index in indices]
    vectors = np.array([item["dense"]["values"] for item in items], dtype=np.float32)
    np.testing.assert_allclose(vectors, REFERENCE[indices], atol=TOLERANCE, rtol=0)
    return reply


@contextmanager
def load(address: str, clients: int = 4, timeout_s: float = 30.0):
    """Clients that encode one text after another until the block ends; yields their replies."""
    stop = threading.Event()
    replies: list[HttpReply] = []

    def client(number: int) -> None:
        turn = number
        while not stop.is_set():
            replies.append(encode(address, [turn % len(TEXTS)], timeout_s))
            turn += clients

    with ThreadPoolExecutor(clients) as pool:
        futures: list[Future[None]] = [pool.submit(client, number) for number in range(clients)]
        try:
            yield replies
        finally:
            stop.set()
        for future in futures:
            future.result()


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def statuses(replies: list[HttpReply]) -> set[int]:
    return {reply.status for reply in replies}


def test_a_worker_killed_mid_request_is_replaced_and_the_request_completes(fresh_stack: LocalStack):
    fresh_stack.start()
    indices = [n % len(TEXTS) for n in range(300)]
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(encode, fresh_stack.http_address, indices, 60.0)
        time.sleep(0.6)
        assert not request.done()
        fresh_stack.processes["worker-1"].kill()
        fresh_stack.start_worker("worker-2")
        assert request.result().status == 200


def test_without_a_worker_requests_end_in_time_and_leave_their_demand(fresh_stack: LocalStack):
    fresh_stack.start()
    fresh_stack.processes["worker-1"].kill()
    reply = encode(fresh_stack.http_address, [0], timeout_s=2.0)
    assert reply.status in {202, 504}
    until(lambda: encode(fresh_stack.http_address, [0], timeout_s=2.0).status == 202)
    reply = encode(fresh_stack.http_address, [0])
    body = reply.json()
    assert reply.headers["retry-after"] == "120"
    assert (body["status"], body["gpu"], body["bundle"]) == ("provisioning", "cpu", "default")

    def demands(value: str) -> bool:
        metrics = ask(fresh_stack.http_address, "GET", "/metrics").body.decode().splitlines()
        lane = '{bundle="default",machine_profile="cpu"}'
        return f"sie_gateway_pending_demand{lane} {value}" in metrics

    assert demands("1.0")
    fresh_stack.start_worker("worker-2").wait_ready(20)
    until(lambda: demands("0.0"))


def test_a_worker_that_is_told_to_stop_under_load_loses_nothing(fresh_stack: LocalStack):
    fresh_stack.start(workers=2)
    with load(fresh_stack.http_address) as replies:
        until(lambda: len(replies) > 10)
        leaving = fresh_stack.processes["worker-1"]
        leaving.terminate()
        assert leaving.wait(15) == 0
        seen = len(replies)
        until(lambda: len(replies) > seen + 20)
    assert statuses(replies) == {200}


def test_the_broker_may_stop_and_come_back_under_load(fresh_stack: LocalStack):
    fresh_stack.start()
    with load(fresh_stack.http_address, timeout_s=20.0) as replies:
        until(lambda: len(replies) > 10)
        fresh_stack.stop_broker()
        time.sleep(1.0)
        fresh_stack.start_broker()
        returned = time.monotonic()
        seen = len(replies)
        until(lambda: sum(reply.status == 200 for reply in replies[seen:]) > 20)
        assert time.monotonic() - returned < 20
    assert statuses(replies) <= RETRYABLE | {200}


def test_a_killed_broker_is_no_different(fresh_stack: LocalStack):
    fresh_stack.start()
    with load(fresh_stack.http_address, timeout_s=20.0) as replies:
        until(lambda: len(replies) > 10)
        broker = fresh_stack.processes["broker"]
        broker.kill()
        broker.wait(5)
        fresh_stack.start_broker()
        seen = len(replies)
        until(lambda: sum(reply.status == 200 for reply in replies[seen:]) > 20)
    assert statuses(replies) <= RETRYABLE | {200}


def test_a_gateway_starts_and_serves_with_the_config_service_down(fresh_stack: LocalStack):
    fresh_stack.start()
    gateway = fresh_stack.processes["gateway-1"]
    gateway.terminate()
    assert gateway.wait(15) == 0
    fresh_stack.processes["config"].kill()
    fresh_stack.processes["config"].wait(5)
    gateway.start()
    gateway.wait_ready(15)
    assert encode(fresh_stack.http_address, [1, 2]).status == 200


def test_a_gateway_that_is_told_to_stop_answers_what_it_has_accepted(fresh_stack: LocalStack):
    fresh_stack.start()
    indices = [n % len(TEXTS) for n in range(120)]
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(encode, fresh_stack.http_address, indices)
        time.sleep(0.5)
        assert not request.done()
        fresh_stack.processes["gateway-1"].terminate()
        assert request.result().status == 200
    assert fresh_stack.processes["gateway-1"].wait(15) == 0


@pytest.mark.parametrize("name", ["config", "gateway-1"])
def test_a_killed_service_comes_back_and_serves(fresh_stack: LocalStack, name: str):
    fresh_stack.start()
    process = fresh_stack.processes[name]
    process.kill()
    process.wait(5)
    process.start()
    process.wait_ready(20)
    until(lambda: encode(fresh_stack.http_address, [3]).status == 200)
