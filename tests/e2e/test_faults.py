"""Faults, with real processes and a real broker: every accepted request ends, and rightly.

An outcome is right if it is the very vectors that the reference has for the texts that were
sent, or one typed error that says it may be retried, within the request's deadline.
"""

import time
from concurrent.futures import ThreadPoolExecutor

from cli.local_stack import LocalStack
from tests.chaos.load import Load, until
from tests.chaos.verdicts import TEXTS, Verdict, body_of, judge
from tests.e2e.conftest import ENCODE, HttpReply, ask


def encode(address: str, indices: list[int], timeout_s: float = 30.0) -> HttpReply:
    """Sends some texts and checks that the reply is theirs, or that it may be retried."""
    headers = {"x-request-timeout": str(timeout_s)}
    started = time.monotonic()
    reply = ask(address, "POST", ENCODE, body_of(indices), headers, timeout=timeout_s + 10)
    assert time.monotonic() - started < timeout_s + 1
    assert judge(reply, indices).verdict in {Verdict.RIGHT, Verdict.RETRYABLE}, reply.body
    return reply


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


def test_a_broker_that_forgets_everything_may_stop_and_come_back_under_load(
    fresh_stack: LocalStack,
):
    fresh_stack.start()
    with Load([fresh_stack.http_address], seed=1, timeout_s=20.0) as load:
        load.wait_for_right(10)
        fresh_stack.stop_broker()
        time.sleep(1.0)
        fresh_stack.start_broker()
        load.wait_for_right(20, 20)
    assert load.counts.keys() <= {Verdict.RIGHT, Verdict.RETRYABLE}, load.notes


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
