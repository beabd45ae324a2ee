"""What the queue promises, with real processes: nothing computed for nobody, nothing lost."""

import asyncio
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import grpc
import nats
import pytest
from click.testing import CliRunner

from cli.__main__ import main
from cli.local_stack import LocalStack
from servicekit.subjects import PAYLOADS_BUCKET, Lane, Queue, work_consumer, work_stream
from sie.inference.v1.inference_service_pb2 import ExtractRequest
from sie.inference.v1.inference_service_pb2_grpc import InferenceServiceStub
from tests.asking import ask
from tests.e2e.golden_models import write_definitions
from tests.waiting import until

MODEL = "golden/bert_ner"
EXTRACT = f"/v1/extract/{MODEL}"
# One item that keeps an engine busy for a while: it is read in windows, all of which count.
BOOK = "Ada Lovelace met Charles Babbage in London in 1833. " * 3000
POISON = "Xerxes met " + BOOK


@pytest.fixture(scope="module")
def queue_stack(tmp_path_factory, engine_cache):
    directory = tmp_path_factory.mktemp("queue")
    env = {
        "SIE_MODELS_DIR": str(write_definitions(directory / "models")),
        "SIE_PRELOAD_MODELS": f"{MODEL},golden/splade_bert",
    }
    with LocalStack(directory / "stack", cache_dir=engine_cache, env=env) as stack:
        stack.start()
        yield stack


def counter(address, name, **labels):
    """A counter's value on a process's /metrics, summed over the labels that are not given."""
    total = 0.0
    for line in ask(address, "GET", "/metrics").body.decode().splitlines():
        series, _, value = line.rpartition(" ")
        if series.split("{")[0] == name and all(f'{k}="{v}"' in series for k, v in labels.items()):
            total += float(value)
    return total


def worker_address(stack):
    return f"127.0.0.1:{stack.processes['worker-1'].env['SIE_WORKER_HTTP_PORT']}"


def accounted(stack):
    accepted = counter(stack.http_address, "sie_gateway_work_items_accepted_total")
    ended = counter(stack.http_address, "sie_gateway_work_items_ended_total")
    return accepted, ended


def broker_says(stack, question):
    async def ask_it():
        client = await nats.connect(stack.nats_url)
        try:
            return await question(client.jetstream())
        finally:
            await client.close()

    return asyncio.run(ask_it())


def disconnect_over_http(stack, texts):
    """Sends a request and closes the connection without waiting for the reply."""
    host, port = stack.http_address.split(":")
    body = json.dumps({"items": [{"text": text} for text in texts]}).encode()
    head = f"POST {EXTRACT} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    connection = socket.create_connection((host, int(port)))
    connection.sendall(head.encode() + body)
    return connection.close


def cancel_over_grpc(stack, texts):
    channel = grpc.insecure_channel(stack.grpc_address)
    request = ExtractRequest(model=MODEL, items=[{"text": text} for text in texts])
    call = InferenceServiceStub(channel).Extract.future(request, timeout=60)
    return call.cancel


@pytest.mark.parametrize("send", [disconnect_over_http, cancel_over_grpc])
def test_work_of_a_caller_that_has_gone_is_not_computed(queue_stack, send):
    worker, gateway = worker_address(queue_stack), queue_stack.http_address

    def computed():
        return counter(worker, "sie_worker_batch_tokens_total", model=MODEL)

    def cancelled():
        return counter(worker, "sie_worker_work_items_total", outcome="cancelled")

    # By its reply: a last run for those who left an earlier test may add to the counter meanwhile.
    reply = ask(gateway, "POST", EXTRACT, {"items": [{"text": BOOK}]})
    book = reply.json()["items"][0]["input_tokens"]
    before, skipped, accepted = computed(), cancelled(), accounted(queue_stack)[0]
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, gateway, "POST", EXTRACT, {"items": [{"text": BOOK}]})
        until(lambda: accounted(queue_stack)[0] == accepted + 1)
        leave = [send(queue_stack, [BOOK] * 5) for _ in range(3)]
        until(lambda: accounted(queue_stack)[0] == accepted + 16)
        for each in leave:
            each()
        # Some may have had their turn before their caller was gone.
        until(lambda: cancelled() >= skipped + 8)
        assert first.result().status == 200
    assert len(set(accounted(queue_stack))) == 1
    assert book <= computed() - before < 15 * book


def test_an_item_larger_than_a_message_travels_through_the_store_and_is_removed(queue_stack):
    text = "the quick brown fox " * 450_000
    assert len(text) > 8 * 1024 * 1024
    path = "/v1/encode/golden/splade_bert"
    reply = ask(queue_stack.http_address, "POST", path, {"items": [{"text": text}]})
    assert reply.status == 200, reply.body
    assert reply.json()["items"][0]["truncated"]

    async def left(js):
        info = await js.stream_info(
            f"OBJ_{PAYLOADS_BUCKET}", subjects_filter=f"$O.{PAYLOADS_BUCKET}.C.>"
        )
        return info.state.subjects or {}

    until(lambda: not broker_says(queue_stack, left))


def test_a_request_may_be_bulk_work_and_nothing_else_unknown(queue_stack):
    body = {"items": [{"text": "Ada in London."}]}
    gateway = queue_stack.http_address
    reply = ask(gateway, "POST", EXTRACT, body, {"x-sie-work-class": "bulk"})
    assert reply.status == 200, reply.body
    reply = ask(gateway, "POST", EXTRACT, body, {"x-sie-work-class": "vip"})
    assert (reply.status, reply.json()["error"]["metadata"]["field"]) == (400, "x-sie-work-class")


def dlq(stack, *arguments):
    result = CliRunner().invoke(main, ["dlq", *arguments, "--address", stack.grpc_address])
    return result.exit_code, result.output


async def waiting(js):
    return (await js.stream_info(work_stream("default"))).state.messages


class Assassin:
    """Kills the worker when it has the poison in its hands, and starts it again.

    With its chunk that happens once: the second time it is taken apart.
    """

    def __init__(self, stack):
        self.deaths = 0
        self._stack = stack
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch()))
        self._stop = threading.Event()
        self._ready = threading.Event()

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    async def _watch(self):
        client = await nats.connect(self._stack.nats_url)
        since, killed = {}, set()
        self._ready.set()
        while not self._stop.is_set():
            async for delivery in self._deliveries(client.jetstream()):
                first = since.setdefault(delivery, time.monotonic())
                # The worker has begun with it by then.
                if time.monotonic() - first > 0.3 and delivery not in killed:
                    killed.add(delivery)
                    self.deaths += 1
                    worker = self._stack.processes["worker-1"]
                    worker.kill()
                    worker.wait(60)
                    worker.start()
            await asyncio.sleep(0.02)
        await client.close()

    async def _deliveries(self, js):
        """What the worker has in its hands: the chunk, or when all else is done, the poison."""
        for queue in (Queue.INTERACTIVE, Queue.SUSPECT):
            consumer = work_consumer(Lane("default", "cpu", "default"), MODEL, queue)
            with suppress(nats.errors.Error):
                info = await js.consumer_info(work_stream("default"), consumer)
                is_alone = queue is Queue.SUSPECT
                if info.num_ack_pending and (not is_alone or await waiting(js) == 1):
                    yield queue, is_alone and info.delivered.consumer_seq


def test_a_poison_item_fails_alone_and_can_be_replayed(queue_stack):
    texts = [*(f"Ada Lovelace met Charles in London, {n}." for n in range(4)), POISON]
    with Assassin(queue_stack) as assassin:
        body = {"items": [{"id": str(n), "text": text} for n, text in enumerate(texts)]}
        headers = {"x-request-timeout": "120"}
        reply = ask(queue_stack.http_address, "POST", EXTRACT, body, headers, timeout=130)
    assert reply.status == 200, reply.body
    items = reply.json()["items"]
    assert [item["id"] for item in items] == ["0", "1", "2", "3", "4"]
    assert [item.get("error", {}).get("code", "") for item in items] == [
        "", "", "", "", "DELIVERY_EXHAUSTED",
    ]  # fmt: skip
    assert assassin.deaths == 1 + 3
    ended = {
        outcome: counter(
            queue_stack.http_address, "sie_gateway_work_items_ended_total", outcome=outcome
        )
        for outcome in ("answered", "dead_lettered")
    }
    assert ended["dead_lettered"] == 1
    assert len(set(accounted(queue_stack))) == 1
    until(lambda: broker_says(queue_stack, waiting) == 0)

    queue_stack.processes["worker-1"].wait_ready(60)
    code, listing = dlq(queue_stack, "list")
    assert code == 0
    assert "DELIVERY_EXHAUSTED" in listing
    letter_id = listing.splitlines()[1].split()[0]
    code, shown = dlq(queue_stack, "show", letter_id)
    letter = json.loads(shown)
    assert (letter["attempts"], letter["item_count"], letter["model_id"]) == (3, 1, MODEL)
    assert letter["work_item"]["extract"]["items"][0]["text"] == POISON
    assert dlq(queue_stack, "replay", letter_id) == (
        0,
        f"{letter_id}: answered by worker-1, removed\n",
    )
    assert dlq(queue_stack, "list") == (0, "no dead letters\n")
    code, told = dlq(queue_stack, "show", letter_id)
    assert code != 0
    assert "DEAD_LETTER_NOT_FOUND" in told


def test_requests_for_dead_letters_that_are_not_there_are_refused(queue_stack):
    gateway = queue_stack.http_address
    ask(gateway, "POST", "/v1/dead-letters:purge", {"all": True})
    assert ask(gateway, "GET", "/v1/dead-letters").json() == {"letters": []}
    assert ask(gateway, "GET", "/v1/dead-letters/77").status == 404
    assert ask(gateway, "GET", "/v1/dead-letters/x").status == 400
    assert ask(gateway, "GET", "/v1/dead-letters?pool=a.b").status == 400
    assert ask(gateway, "POST", "/v1/dead-letters/77:replay", {}).status == 404
    assert ask(gateway, "POST", "/v1/dead-letters:purge", {}).status == 400
    assert ask(gateway, "POST", "/v1/dead-letters:purge", {"all": True}).status == 200
    assert dlq(queue_stack, "purge", "--all") == (0, "0 purged\n")
