"""Lines and batches through whole clusters, with clients as they are."""

import json
import re
import signal
from pathlib import Path

import openai
import pytest
from click.testing import CliRunner

from cli.__main__ import main
from cli.local_stack import DEFAULT_MODEL, LocalStack
from cli.ports import HOST, free_port
from tests.asking import ENCODE, ask
from tests.waiting import until

NDJSON = {"Content-Type": "application/x-ndjson"}
ENDED = ("completed", "failed", "expired", "cancelled")


def jsonl(values) -> bytes:
    return b"\n".join(json.dumps(value).encode() for value in values)


def lines_of(text: str | bytes) -> list:
    return [json.loads(line) for line in text.splitlines()]


def request(number: int, url: str, body: dict) -> dict:
    return {"custom_id": f"c{number}", "method": "POST", "url": url, "body": body}


@pytest.fixture
def client(stack: LocalStack) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"http://{stack.http_address}/v1", api_key="none", max_retries=0)


def until_ended(client: openai.OpenAI, batch_id: str, timeout: float = 120.0) -> openai.types.Batch:
    def ended() -> openai.types.Batch | None:
        batch = client.batches.retrieve(batch_id)
        return batch if batch.status in ENDED else None

    return until(ended, timeout, "the end of a batch")


def test_lines_are_encoded_as_requests_are(stack: LocalStack):
    texts = [f"text number {n}" for n in range(100)]
    lines = [{"id": text, "text": text} for text in texts]
    reply = ask(stack.http_address, "POST", ENCODE, jsonl([*lines, {"txt": 1}]), NDJSON)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/x-ndjson")
    *answers, refused = lines_of(reply.body)
    found = [answer["response"]["items"][0] for answer in answers]
    assert [item["id"] for item in found] == texts
    assert (refused["line"], refused["error"]["metadata"]["field"]) == (101, "items[0].txt")
    whole = ask(stack.http_address, "POST", ENCODE, {"items": lines[:1]}).json()
    vectors = [each["dense"]["values"] for each in (whole["items"][0], found[0])]
    assert vectors[0] == pytest.approx(vectors[1], abs=1e-5)


def test_lines_may_be_rankings(stack: LocalStack):
    body = {"query": {"text": "cat"}, "items": [{"text": "dog"}, {"text": "a cat"}]}
    path = f"/v1/score/{DEFAULT_MODEL}"
    reply = ask(stack.http_address, "POST", path, jsonl([{"key": "k"} | body, {}]), NDJSON)
    ranking, refused = lines_of(reply.body)
    assert ranking["key"] == "k"
    assert [entry["index"] for entry in ranking["response"]["scores"]] == [1, 0]
    assert refused["error"]["code"] == "INVALID_INPUT"


def test_openai_runs_a_batch(client: openai.OpenAI, tmp_path: Path):
    source = tmp_path / "in.jsonl"
    texts = [f"text {n}" if n % 50 else "" for n in range(300)]
    embed = [{"model": DEFAULT_MODEL, "input": text} for text in texts]
    source.write_bytes(jsonl(request(n, "/v1/embeddings", b) for n, b in enumerate(embed)))
    with source.open("rb") as opened:
        file = client.files.create(file=opened, purpose="batch")
    assert (file.bytes, file.filename) == (source.stat().st_size, "in.jsonl")
    assert client.files.content(file.id).content == source.read_bytes()
    batch = client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/embeddings",
        completion_window="24h",
        metadata={"corpus": "small"},
    )
    assert batch.status == "validating"
    batch = until_ended(client, batch.id)
    assert (batch.status, batch.metadata) == ("completed", {"corpus": "small"})
    counts = batch.request_counts
    assert (counts.total, counts.completed, counts.failed) == (300, 294, 6)
    results = lines_of(client.files.content(batch.output_file_id).text)
    assert [each["custom_id"] for each in results] == [f"c{n}" for n in range(300) if n % 50]
    refused = lines_of(client.files.content(batch.error_file_id).text)
    assert {each["response"]["body"]["error"]["param"] for each in refused} == {"input"}
    whole = client.embeddings.create(model=DEFAULT_MODEL, input=texts[1], encoding_format="float")
    first = results[0]["response"]["body"]["data"][0]["embedding"]
    assert first == pytest.approx(whole.data[0].embedding, abs=1e-5)
    assert batch.id in [each.id for each in client.batches.list(limit=1)]
    assert client.files.delete(file.id).deleted


def test_openai_is_told_what_is_wrong(client: openai.OpenAI):
    window = {"endpoint": "/v1/embeddings", "completion_window": "24h"}
    with pytest.raises(openai.NotFoundError):
        client.batches.create(input_file_id="file-none", **window)
    with pytest.raises(openai.NotFoundError):
        client.batches.retrieve("batch_none")
    file = client.files.create(file=("in.jsonl", b'{"custom_id": "a"}'), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, **window)
    errors = until_ended(client, batch.id).errors
    assert [(each.line, each.param) for each in errors.data] == [(1, "method")]
    assert client.batches.cancel(batch.id).status == "failed"


def runners(stack: LocalStack, batch: str) -> list[str]:
    """Names of the gateways that have taken a batch, in order."""
    taken = {}
    for name in ("gateway-1", "gateway-2"):
        log = (stack.logs_dir / f"{name}.log").read_text()
        for epoch in re.findall(rf"taken batch={batch} epoch=(\d+)", log):
            taken[int(epoch)] = name
    return [taken[epoch] for epoch in sorted(taken)]


def test_a_batch_outlives_the_gateways_that_run_it(fresh_stack: LocalStack):
    """One stands still and comes back, the next one dies: nothing is missing or there twice."""
    fresh_stack.start_broker()
    fresh_stack.start_config()
    fresh_stack.start_worker()
    addresses = {
        "gateway-1": fresh_stack.http_address,
        "gateway-2": f"{HOST}:{(port := free_port())}",
    }
    gateways = {
        "gateway-1": fresh_stack.start_gateway(SIE_BATCH_LEASE_S="1"),
        "gateway-2": fresh_stack.start_gateway(
            "gateway-2", SIE_BATCH_LEASE_S="1", SIE_HTTP_PORT=str(port)
        ),
    }
    for process in fresh_stack.processes.values():
        process.wait_ready(60)
    body = {"items": [{"text": "word " * 5}]}
    lines = jsonl(request(n, ENCODE, body) for n in range(900)).decode()
    made = ask(
        fresh_stack.http_address, "POST", "/v1/batches", {"input": lines, "endpoint": ENCODE}
    )
    batch = made.json()["id"]

    def status(name: str) -> dict:
        return ask(addresses[name], "GET", f"/v1/batches/{batch}").json()

    def until_done(name: str, count: int) -> None:
        until(lambda: status(name)["request_counts"]["completed"] >= count, 120)

    until_done("gateway-1", 1)
    (first,) = runners(fresh_stack, batch)
    other = next(name for name in gateways if name != first)
    gateways[first].signal(signal.SIGSTOP)
    until_done(other, status(other)["request_counts"]["completed"] + 100)
    assert runners(fresh_stack, batch) == [first, other]
    gateways[first].signal(signal.SIGCONT)
    gateways[other].kill()
    until(lambda: status(first)["status"] in ENDED, 120, "the end of the batch")
    done = status(first)
    assert done["request_counts"] == {"total": 900, "completed": 900, "failed": 0}
    path = f"/v1/files/{done['output_file_id']}/content"
    results = lines_of(ask(addresses[first], "GET", path).body)
    assert [each["line"] for each in results] == list(range(1, 901))
    assert runners(fresh_stack, batch)[-1] == first


def sie(stack: LocalStack, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["batch", "--address", stack.grpc_address, *arguments])
    return done.exit_code, done.output


def test_the_command_runs_a_batch(stack: LocalStack, tmp_path: Path):
    source = tmp_path / "in.jsonl"
    bodies = [{"items": [{"text": "a"}]}, {"items": []}]
    source.write_bytes(jsonl(request(n, ENCODE, body) for n, body in enumerate(bodies)))
    code, shown = sie(stack, "create", str(source), "--endpoint", ENCODE, "--wait")
    assert code == 0, shown
    batch, *rest = shown.splitlines()[1].split()
    assert rest[:4] == ["completed", "1", "1", "2"]
    assert [each["custom_id"] for each in lines_of(sie(stack, "results", batch)[1])] == ["c0"]
    target = tmp_path / "errors.jsonl"
    assert sie(stack, "results", batch, "--errors", "-o", str(target))[0] == 0
    assert [each["custom_id"] for each in lines_of(target.read_text())] == ["c1"]
    assert batch in sie(stack, "list")[1]
    assert sie(stack, "wait", batch)[0] == 0
    assert sie(stack, "cancel", batch)[1].splitlines()[1].split()[1] == "completed"
    assert sie(stack, "delete", batch) == (0, f"{batch} is deleted\n")
    code, told = sie(stack, "show", batch)
    assert (code, "BATCH_NOT_FOUND" in told) == (1, True)
    source.write_text("{}")
    _, shown = sie(stack, "create", str(source), "--wait")
    assert "line 1: custom_id" in shown
    assert sie(stack, "create", "missing.jsonl") == (1, "Error: missing.jsonl: no such file\n")
