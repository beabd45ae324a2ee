"""A whole cluster that keeps requests and files in a bucket."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor

import fsspec
import pytest

from cli.local_stack import LocalStack
from tests.asking import ENCODE, ask
from tests.e2e.test_batches import ENDED
from tests.waiting import until

BOOK = "the quick brown fox " * 450_000


@pytest.fixture(scope="module")
def stack(server, tmp_path_factory):
    env = server.env | {"SIE_PAYLOAD_STORE": server.url, "SIE_FILE_STORE": server.url}
    env["SIE_BATCH_PLACES"] = f"{server.url}/batches/"
    with LocalStack(tmp_path_factory.mktemp("cluster"), env=env) as stack:
        stack.start(workers=1)
        yield stack


def ask_book(stack):
    return ask(stack.http_address, "POST", ENCODE, {"items": [{"text": BOOK}]})


def test_an_item_larger_than_a_message_goes_through_the_bucket_and_is_removed(
    stack, bucket, listing
):
    reply = ask_book(stack)
    assert reply.status == 200, reply.body
    assert reply.json()["items"][0]["truncated"]
    until(lambda: not listing())


def test_a_request_that_has_vanished_is_a_typed_error(stack, bucket, listing):
    """The worker stands still until the request is gone."""
    system, root = fsspec.core.url_to_fs(bucket)
    worker = stack.processes["worker-1"]
    worker.signal(signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(1) as threads:
            answer = threads.submit(ask_book, stack)
            until(listing)
            for path in listing():
                system.rm_file(f"{root}/{path}")
            worker.signal(signal.SIGCONT)
            reply = answer.result(30)
    finally:
        worker.signal(signal.SIGCONT)
    assert (reply.status, reply.json()["error"]["code"]) == (503, "PAYLOAD_UNAVAILABLE")


def test_files_and_results_of_a_batch_are_kept_in_the_bucket(stack, bucket, listing):
    system, root = fsspec.core.url_to_fs(bucket)
    lines = [
        {"custom_id": f"c{n}", "method": "POST", "url": ENCODE, "body": {"items": [{"text": "a"}]}}
        for n in range(5)
    ]
    system.pipe_file(f"{root}/batches/in.jsonl", "\n".join(map(json.dumps, lines)).encode())
    body = {"input_uri": f"{bucket}/batches/in.jsonl", "endpoint": ENCODE}
    body["output_uri"] = f"{bucket}/batches/out/"
    batch = ask(stack.http_address, "POST", "/v1/batches", body)
    assert batch.status == 201, batch.body
    path = f"/v1/batches/{batch.json()['id']}"
    until(lambda: ask(stack.http_address, "GET", path).json()["status"] in ENDED)
    found = ask(stack.http_address, "GET", path).json()
    assert found["status"] == "completed", found
    [output] = [path for path in listing() if path.startswith("batches/out/")]
    assert any(path.startswith("files/") for path in listing())
    results = system.cat_file(f"{root}/{output}").splitlines()
    assert [json.loads(line)["custom_id"] for line in results] == [f"c{n}" for n in range(5)]
