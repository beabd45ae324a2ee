"""A real model through the real processes: the same numbers by every road."""

import json
import random
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from cli.local_stack import DEFAULT_MODEL
from sie.inference.v1.inference_service_pb2 import EncodeRequest
from tests.asking import ENCODE, ask
from tests.e2e.golden_models import MINILM

TEXTS = json.loads((MINILM / "texts.json").read_bytes())
IDS = json.loads((MINILM / "input_ids.json").read_bytes())
REFERENCE = np.load(MINILM / "reference.npy")
TOLERANCE = 1e-5
MAX_LENGTH = 256


def dense(item) -> np.ndarray:
    return np.array(item["dense"]["values"], dtype=np.float32)


def grpcurl() -> str:
    beside = Path(__file__).parents[2] / ".sie" / "tools" / "grpcurl"
    found = str(beside) if beside.exists() else shutil.which("grpcurl")
    if found is None:
        pytest.skip("grpcurl is not installed: `make tools` builds it with Go")
    return found


def test_http_agrees_with_the_reference_on_every_text(stack):
    reply = ask(stack.http_address, "POST", ENCODE, {"items": [{"text": t} for t in TEXTS]})
    vectors = np.stack([dense(item) for item in reply.json()["items"]])
    np.testing.assert_allclose(vectors, REFERENCE, atol=TOLERANCE, rtol=0)


def test_each_text_alone_agrees_with_the_reference(stub):
    for text, expected in zip(TEXTS, REFERENCE, strict=True):
        response = stub.Encode(EncodeRequest(model=DEFAULT_MODEL, items=[{"text": text}]))
        values = np.array(response.items[0].dense.values, dtype=np.float32)
        np.testing.assert_allclose(values, expected, atol=TOLERANCE, rtol=0)


def test_every_result_says_how_much_of_its_text_was_read(stack):
    items = [{"text": text} for text in TEXTS]
    reply = ask(stack.http_address, "POST", ENCODE, {"items": items}).json()
    assert [item["input_tokens"] for item in reply["items"]] == [len(ids) for ids in IDS]
    truncated = [item["truncated"] for item in reply["items"]]
    assert sum(truncated) == 10
    assert all(len(ids) == MAX_LENGTH for ids, cut in zip(IDS, truncated, strict=True) if cut)


def test_curl_grpcurl_and_the_stub_give_the_same_384_numbers(stack, stub):
    # As the documentation writes it: curl -d sends a form's content type.
    form = {"content-type": "application/x-www-form-urlencoded"}
    body = b'{"items":[{"text":"Hello world"}]}'
    by_http = dense(ask(stack.http_address, "POST", ENCODE, body, form).json()["items"][0])

    request = EncodeRequest(model=DEFAULT_MODEL, items=[{"text": "Hello world"}])
    by_stub = np.array(stub.Encode(request).items[0].dense.values, dtype=np.float32)

    data = json.dumps({"model": DEFAULT_MODEL, "items": [{"text": "Hello world"}]})
    method = "sie.inference.v1.InferenceService/Encode"
    command = [grpcurl(), "-plaintext", "-d", data, stack.grpc_address, method]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    by_grpcurl = dense(json.loads(output)["items"][0])

    assert len(by_http) == 384
    np.testing.assert_allclose(by_http, by_stub, atol=1e-6)
    np.testing.assert_allclose(by_grpcurl, by_stub, atol=1e-6)


def test_a_thousand_texts_spread_over_both_workers_and_return_in_order(stack):
    rng = random.Random(3)
    short = [index for index, ids in enumerate(IDS) if len(ids) <= 16]
    chosen = rng.choices(short, k=1000)
    items = [{"id": f"item-{n}", "text": TEXTS[index]} for n, index in enumerate(chosen)]
    # Two workers on a machine that may be busy otherwise; the order is in question, not the speed.
    patient = {"x-request-timeout": "110"}
    reply = ask(stack.http_address, "POST", ENCODE, {"items": items}, patient, timeout=120)
    results = reply.json()["items"]
    assert [item["id"] for item in results] == [item["id"] for item in items]
    vectors = np.stack([dense(item) for item in results])
    np.testing.assert_allclose(vectors, REFERENCE[chosen], atol=TOLERANCE, rtol=0)
    assert reply.headers["x-sie-worker"].split(",") == ["worker-1", "worker-2"]


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [("float16", "<f2"), ("int8", "i1"), ("uint8", "u1"), ("binary", "i1"), ("ubinary", "u1")],
)
def test_other_element_types_come_over_both_protocols(stack, stub, dtype, kind):
    body = {"items": [{"text": "Hello"}], "params": {"output_dtype": dtype}}
    item = ask(stack.http_address, "POST", ENCODE, body).json()["items"][0]
    request = EncodeRequest(model=DEFAULT_MODEL, items=[{"text": "Hello"}])
    request.params.output_dtype = f"DATA_TYPE_{dtype.upper()}"
    message = stub.Encode(request).items[0].dense
    assert item["dense"]["dtype"] == dtype
    assert item["dense"]["dims"] == 384
    # Two runs add up in two orders, so a number may fall on the other side of a step.
    step = {"float16": 2e-4, "int8": 1, "uint8": 1}.get(dtype, 0)
    codes = np.frombuffer(message.data, dtype=kind).astype(np.float64)
    np.testing.assert_allclose(codes, item["dense"]["values"], atol=step, rtol=0)


def test_dimensions_shorten_the_vector_to_unit_length(stack):
    body = {"items": [{"text": "Hello"}], "params": {"dimensions": 64}}
    item = ask(stack.http_address, "POST", ENCODE, body).json()["items"][0]
    assert item["dense"]["dims"] == len(item["dense"]["values"]) == 64
    assert np.linalg.norm(dense(item)) == pytest.approx(1, abs=1e-5)


def test_an_instruction_is_put_before_the_text(stack):
    body = {"items": [{"text": "Hello"}], "params": {"instruction": "query: "}}
    instructed = ask(stack.http_address, "POST", ENCODE, body).json()["items"][0]
    plain = ask(stack.http_address, "POST", ENCODE, {"items": [{"text": "query: Hello"}]})
    expected = dense(plain.json()["items"][0])
    np.testing.assert_allclose(dense(instructed), expected, atol=1e-6, rtol=0)


def test_long_items_can_be_refused_while_others_succeed(stack):
    long = "word " * 400
    body = {
        "items": [{"id": "a", "text": "short"}, {"id": "b", "text": long}],
        "params": {"truncate": "none"},
    }
    first, second = ask(stack.http_address, "POST", ENCODE, body).json()["items"]
    assert (first["id"], len(first["dense"]["values"])) == ("a", 384)
    assert (second["id"], second["error"]["code"]) == ("b", "INVALID_INPUT")
    assert second["error"]["metadata"]["field"] == "items[1].text"


def test_timing_and_ids_are_in_the_reply(stack):
    headers = {"x-request-id": "mine-1"}
    reply = ask(stack.http_address, "POST", ENCODE, {"items": [{"text": "a"}]}, headers)
    timing = reply.json()["timing"]
    assert reply.headers["x-sie-request-id"] == "mine-1"
    assert 0 < timing["inference_ms"] < timing["total_ms"]
