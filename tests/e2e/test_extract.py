"""Golden checkpoints through the real processes: what the originals find, over both protocols."""

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import yaml
from click.testing import CliRunner
from google.protobuf import json_format
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from cli.__main__ import main
from cli.local_stack import LocalStack
from sie.inference.v1.inference_service_pb2 import ExtractRequest
from sie.inference.v1.inference_service_pb2_grpc import InferenceServiceStub
from tests.e2e.conftest import ask

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = yaml.safe_load((GOLDEN.parent / "cases" / "extract_errors.yaml").read_text())
EXTRACT, ENCODE = {"extract": {}}, {"encode": {"dense": {"dims": 48}}}
TASKS = {"bert_ner": EXTRACT, "bert_nli": EXTRACT, "gliner": EXTRACT, "bert_mean": ENCODE}
LABELS = ["person", "organization", "location", "date"]
TOLERANCE = 1e-4
WITHIN_S = 10.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory, engine_cache) -> Iterator[LocalStack]:
    """A cluster that serves golden checkpoints."""
    models = tmp_path_factory.mktemp("models")
    for name, tasks in TASKS.items():
        source = {"directory": str(GOLDEN / name)}
        definition = {"model_id": f"golden/{name}", "sources": [source], "tasks": tasks}
        (models / f"{name}.yaml").write_text(yaml.safe_dump(definition))
    with LocalStack(tmp_path_factory.mktemp("stack"), cache_dir=engine_cache) as stack:
        stack.start_broker()
        stack.start_config(SIE_MODELS_DIR=str(models))
        stack.start_worker(SIE_PRELOAD_MODELS=",".join(f"golden/{name}" for name in TASKS))
        stack.start_gateway()
        for process in stack.processes.values():
            process.wait_ready(60.0)
        yield stack


@pytest.fixture(scope="module")
def channel(stack) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(stack.grpc_address) as channel:
        yield channel


@pytest.fixture(params=["http", "grpc"])
def extract(request, stack, channel):
    """Ask by either protocol; both give the same JSON values."""

    def by_http(model, body):
        reply = ask(stack.http_address, "POST", f"/v1/extract/golden/{model}", body)
        assert reply.status == 200, reply.body
        return reply.json()

    def by_grpc(model, body):
        message = json_format.ParseDict({"model": f"golden/{model}", **body}, ExtractRequest())
        response = InferenceServiceStub(channel).Extract(message, timeout=60)
        return json_format.MessageToDict(response, preserving_proto_field_name=True)

    return by_http if request.param == "http" else by_grpc


def inputs(name):
    return json.loads((GOLDEN / name / "inputs.json").read_bytes())


def items(texts):
    return [{"text": text} for text in texts]


def assert_found(result, expected, label):
    found = result.get("entities", [])
    assert [(e.get("start", 0), e["end"], e["label"]) for e in found] == [
        (e["start"], e["end"], e[label]) for e in expected
    ]
    for entity, other in zip(found, expected, strict=True):
        assert entity["score"] == pytest.approx(other["score"], abs=TOLERANCE)


def test_a_model_with_classes_for_tokens_finds_entities(extract):
    golden = inputs("bert_ner")
    short = [n for n, ids in enumerate(golden["input_ids"]) if len(ids) < golden["max_length"]]
    response = extract("bert_ner", {"items": items(golden["texts"][n] for n in short)})
    assert response["model"] == "golden/bert_ner"
    assert [item["id"] for item in response["items"]] == [f"item-{n}" for n in range(len(short))]
    for number, result in zip(short, response["items"], strict=True):
        assert_found(result, golden["entities_simple"][number], "entity_group")


def test_gliner_finds_entities_of_the_requests_labels(extract):
    golden = inputs("gliner")
    short = [n for n, text in enumerate(golden["texts"]) if len(text) < 200]
    params = {"labels": LABELS, "threshold": 0.3}
    body = {"items": items(golden["texts"][n] for n in short), "params": params}
    for number, result in zip(short, extract("gliner", body)["items"], strict=True):
        assert_found(result, golden["entities"]["0.3"][number], "label")


def test_an_inference_model_judges_labels(extract):
    labels = ["travel", "science", "sport"]
    body = {"items": items(["Water boils at one hundred degrees."]), "params": {"labels": labels}}
    (result,) = extract("bert_nli", body)["items"]
    found = result["classifications"]
    assert sorted(each["label"] for each in found) == sorted(labels)
    assert sum(each["score"] for each in found) == pytest.approx(1, abs=TOLERANCE)
    assert [e["score"] for e in found] == sorted((e["score"] for e in found), reverse=True)


def test_many_items_return_in_order_with_their_ids(extract):
    texts = inputs("bert_ner")["texts"][1:9]
    body = {"items": [{"id": f"n{n}", "text": texts[n % 8]} for n in range(100)]}
    results = extract("bert_ner", body)["items"]
    assert [result["id"] for result in results] == [f"n{n}" for n in range(100)]
    for number, result in enumerate(results):
        same = results[number % 8]
        assert [(e.get("start"), e["label"]) for e in result.get("entities", [])] == [
            (e.get("start"), e["label"]) for e in same.get("entities", [])
        ]


@pytest.mark.parametrize(
    ("model", "params", "characters"),
    [("bert_ner", {}, 1_000_000), ("gliner", {"labels": LABELS}, 100_000)],
)
def test_a_text_of_book_length_is_read_to_its_end(stack, model, params, characters):
    sentence = inputs("bert_ner")["texts"][2] + " "
    text = sentence * (characters // len(sentence))
    body = {"items": [{"text": text}], "params": params}
    headers = {"x-request-timeout": "120"}
    reply = ask(stack.http_address, "POST", f"/v1/extract/golden/{model}", body, headers, 130)
    assert reply.status == 200, reply.body[:500]
    (result,) = reply.json()["items"]
    assert not result["truncated"]
    found = result["entities"]
    assert found[-1]["end"] > len(text) - 2 * len(sentence)
    for one, other in itertools.pairwise(found):
        assert one["end"] <= other["start"]
    for entity in found[:: len(found) // 50]:
        assert entity["text"] == text[entity["start"] : entity["end"]]


def test_the_command_highlights_what_was_found(stack):
    arguments = ["extract", "golden/gliner", "Angela Merkel met Emmanuel Macron in Berlin."]
    arguments += ["--label", "person", "--label", "place", "--threshold", "0.1"]
    outcome = CliRunner().invoke(main, [*arguments, "--address", stack.grpc_address])
    assert outcome.exit_code == 0, outcome.output
    assert "](p" in outcome.output


def made(case):
    """The request of a case as JSON values."""
    request = case["request"]
    if "labels" in case.get("make", {}):
        labels = [f"label {number}" for number in range(case["make"]["labels"])]
        request = {**request, "params": {"labels": labels}}
    return request


def named(case):
    return case["name"].replace(" ", "-")


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_bad_request_over_http(stack, case):
    started = time.monotonic()
    path = f"/v1/extract/{case['model']}"
    reply = ask(stack.http_address, "POST", path, made(case))
    assert time.monotonic() - started < WITHIN_S
    error, expect = reply.json()["error"], case["expect"]
    assert (reply.status, error["code"]) == (expect["http"], expect["reason"]), error
    assert error["metadata"]["field"] == expect["field"]


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_bad_request_over_grpc(channel, case):
    message = json_format.ParseDict({"model": case["model"], **made(case)}, ExtractRequest())
    with pytest.raises(grpc.RpcError) as caught:
        InferenceServiceStub(channel).Extract(message, timeout=WITHIN_S)
    expect = case["expect"]
    assert caught.value.code().name == expect["grpc"], caught.value.details()
    info = error_details_pb2.ErrorInfo()
    details = rpc_status.from_call(caught.value).details
    assert any(packed.Unpack(info) for packed in details)
    assert (info.reason, info.metadata["field"]) == (expect["reason"], expect["field"])
