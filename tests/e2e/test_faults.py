"""Faults, with real processes and a real broker: every accepted request ends, and rightly.

An outcome is right if it is the very vectors that the reference has for the texts that were
sent, or one typed error that says it may be retried, within the request's deadline.
"""

import time
from concurrent.futures import ThreadPoolExecutor

from cli.local_stack import LocalStack
from tests import broker
from tests.asking import ENCODE, HttpReply, ask
from tests.chaos.load import Load
from tests.chaos.verdicts import TEXTS, Verdict, body_of, judge
from tests.waiting import until

# Of a worker that has computed a batch, and of a gateway that has handed work over.
_BEGUN = ("sie_worker_batch_tokens_total", "sie_gateway_work_items_accepted_total")


def encode(address: str, indices: list[int], timeout_s: float = 30.0) -> HttpReply:
    """Sends some texts and checks that the reply is theirs, or that it may be retried."""
    headers = {"x-request-timeout": str(timeout_s)}
    started = time.monotonic()
    reply = ask(address, "POST", ENCODE, body_of(indices), headers, timeout=timeout_s + 10)
    assert time.monotonic() - started < timeout_s + 10
    assert judge(reply, indices).verdict in {Verdict.RIGHT, Verdict.RETRYABLE}, reply.body
    return reply


def wait_for_work(address: str) -> None:
    """Returns when the cluster has begun to work, by the metrics of one of its processes."""

    def has_begun() -> bool:
        lines = ask(address, "GET", "/metrics").body.decode().splitlines()
        counts = [line.split()[1] for line in lines if line.startswith(_BEGUN)]
        return any(float(count) for count in counts)

    until(has_begun)


def test_a_worker_killed_mid_request_is_replaced_and_the_request_completes(fresh_stack: LocalStack):
    fresh_stack.start()
    indices = [n % len(TEXTS) for n in range(60)]
    worker = fresh_stack.processes["worker-1"]
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(encode, fresh_stack.http_address, indices, 60.0)
        wait_for_work(f"127.0.0.1:{worker.env['SIE_WORKER_HTTP_PORT']}")
        worker.kill()
        assert not request.done()
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
    fresh_stack.start_worker("worker-2").wait_ready(60)
    until(lambda: demands("0.0"))


def test_a_broker_that_forgets_everything_may_stop_and_come_back_under_load(
    fresh_stack: LocalStack,
):
    fresh_stack.start()
    with Load([fresh_stack.http_address], seed=1, timeout_s=20.0, rest_s=0.1) as load:
        load.wait_for_right(10)
        broker.stop(fresh_stack)
        time.sleep(1.0)
        fresh_stack.start_broker()
        load.wait_for_right(20, 20)
    assert load.counts.keys() <= {Verdict.RIGHT, Verdict.RETRYABLE}, load.notes


def test_a_gateway_starts_and_serves_with_the_config_service_down(fresh_stack: LocalStack):
    fresh_stack.start()
    gateway = fresh_stack.processes["gateway-1"]
    gateway.terminate()
    assert gateway.wait(60) == 0
    fresh_stack.processes["config"].kill()
    fresh_stack.processes["config"].wait(60)
    gateway.start()
    gateway.wait_ready(60)
    assert encode(fresh_stack.http_address, [1, 2]).status == 200


def test_a_gateway_that_is_told_to_stop_answers_what_it_has_accepted(fresh_stack: LocalStack):
    fresh_stack.start()
    indices = [n % len(TEXTS) for n in range(50)]
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(encode, fresh_stack.http_address, indices, 60.0)
        wait_for_work(fresh_stack.http_address)
        fresh_stack.processes["gateway-1"].terminate()
        assert not request.done()
        assert request.result().status == 200
    assert fresh_stack.processes["gateway-1"].wait(60) == 0
