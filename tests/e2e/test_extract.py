"""Golden checkpoints through the real processes: what the originals find, over both protocols."""

import itertools
import json

import numpy as np
import pytest
from click.testing import CliRunner
from google.protobuf import json_format

from cli.__main__ import main
from sie.inference.v1.inference_service_pb2 import ExtractRequest
from tests.asking import ask
from tests.e2e.golden_models import GOLDEN

LABELS = ["person", "organization", "location", "date"]
TOLERANCE = 1e-4


@pytest.fixture(params=["http", "grpc"])
def extract(request, golden_stack, golden_stub):
    """Ask by either protocol; both give the same JSON values."""

    def by_http(model, body):
        reply = ask(golden_stack.http_address, "POST", f"/v1/extract/golden/{model}", body)
        assert reply.status == 200, reply.body
        return reply.json()

    def by_grpc(model, body):
        message = json_format.ParseDict({"model": f"golden/{model}", **body}, ExtractRequest())
        response = golden_stub.Extract(message, timeout=60)
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


def test_an_inference_model_reads_a_long_text_to_its_end(extract):
    sentence = "Water boils at one hundred degrees at sea level. "
    labels = [f"label {number}" for number in range(256)]
    few, many = {"labels": labels[:3]}, {"labels": labels}
    (result,) = extract("bert_nli", {"items": items([sentence * 50]), "params": few})["items"]
    assert not result.get("truncated")
    assert result["input_tokens"] > 3 * 50 * len(sentence.split())
    body = {"items": items([sentence, sentence * 500]), "params": many}
    short, long = extract("bert_nli", body)["items"]
    assert len(short["classifications"]) == 256
    assert long["error"]["metadata"]["field"] == "items[1].text"
    assert long["error"]["message"].startswith("items[1].text: its ")


def test_raw_scores_are_the_logits_and_the_threshold_stays_one_of_probabilities(extract):
    body = {"items": items(["water"])}
    (plain,) = extract("bert_classes", body)["items"]
    best = plain["classifications"][0]
    params = {"raw_scores": True, "threshold": best["score"] - 1e-6}
    (raw,) = extract("bert_classes", {**body, "params": params})["items"]
    assert raw["classifications"][0]["label"] == best["label"]
    (all_raw,) = extract("bert_classes", {**body, "params": {"raw_scores": True}})["items"]
    logits = np.array([each["score"] for each in all_raw["classifications"]])
    assert raw["classifications"] == all_raw["classifications"][: len(raw["classifications"])]
    shares = np.exp(logits) / np.exp(logits).sum()
    expected = [each["score"] for each in plain["classifications"]]
    np.testing.assert_allclose(shares, expected, atol=TOLERANCE)


@pytest.mark.parametrize("model", ["bert_ner", "bert_nli", "gliner"])
def test_raw_scores_of_what_has_no_classes_of_whole_texts_are_refused(golden_stack, model):
    body = {"items": items(["water"]), "params": {"labels": ["a"], "raw_scores": True}}
    reply = ask(golden_stack.http_address, "POST", f"/v1/extract/golden/{model}", body)
    assert reply.status == 400, reply.body
    assert reply.json()["error"]["metadata"]["field"] == "params.raw_scores"


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
    [("bert_ner", {}, 100_000), ("gliner", {"labels": LABELS}, 50_000)],
)
def test_a_text_of_book_length_is_read_to_its_end(golden_stack, model, params, characters):
    sentence = inputs("bert_ner")["texts"][2] + " "
    text = sentence * (characters // len(sentence))
    body = {"items": [{"text": text}], "params": params}
    headers = {"x-request-timeout": "120"}
    reply = ask(
        golden_stack.http_address, "POST", f"/v1/extract/golden/{model}", body, headers, 130
    )
    assert reply.status == 200, reply.body[:500]
    (result,) = reply.json()["items"]
    assert not result["truncated"]
    found = result["entities"]
    assert found[-1]["end"] > len(text) - 2 * len(sentence)
    for one, other in itertools.pairwise(found):
        assert one["end"] <= other["start"]
    for entity in found[:: len(found) // 50]:
        assert entity["text"] == text[entity["start"] : entity["end"]]


def test_the_command_highlights_what_was_found(golden_stack):
    arguments = ["extract", "golden/gliner", "Angela Merkel met Emmanuel Macron in Berlin."]
    arguments += ["--label", "person", "--label", "place", "--threshold", "0.1"]
    outcome = CliRunner().invoke(main, [*arguments, "--address", golden_stack.grpc_address])
    assert outcome.exit_code == 0, outcome.output
    assert "](p" in outcome.output


def test_a_text_of_a_million_characters_ends_at_its_deadline_and_holds_up_nobody(golden_stack):
    text = "Marie Curie was born in Warsaw. " * 31_250
    body = {"items": items([text]), "params": {"labels": LABELS}}
    address, path = golden_stack.http_address, "/v1/extract/golden/gliner"
    reply = ask(address, "POST", path, body, headers={"X-Request-Timeout": "1"})
    assert (reply.status, reply.headers["x-sie-error-code"]) == (504, "DEADLINE_EXCEEDED")
    body["items"] = items(["Warsaw"])
    reply = ask(address, "POST", path, body, headers={"X-Request-Timeout": "20"})
    assert reply.status == 200, reply.body


def test_ten_thousand_labels_are_refused_by_name(golden_stack):
    labels = [f"label {n}" for n in range(10_000)]
    body = {"items": items(["Warsaw"]), "params": {"labels": labels}}
    reply = ask(golden_stack.http_address, "POST", "/v1/extract/golden/gliner", body)
    assert (reply.status, "params.labels" in reply.body.decode()) == (400, True)
