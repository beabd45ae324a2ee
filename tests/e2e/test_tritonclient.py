"""The published tritonclient against a cluster, over gRPC and over HTTP."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.asking import ask
from tests.e2e.golden_models import GOLDEN, MODELS

PYTHON = Path(sys.prefix) / "clients/bin/python"
SCRIPT = Path(__file__).parents[1] / "clients/triton.py"

pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason="`make clients` installs what these tests run"
)

TEXTS = ["Paris is the capital of France.", "Bob lives there."]
PICTURE = (GOLDEN / "clip/images/img0_48x32_rgb.png").read_bytes()
DENSE, SPARSE, MULTI = "golden/clip", "golden/splade_bert", "golden/colbert"
RERANKER, GLINER = "golden/bert_cross_encoder", "golden/gliner"
LABELS = "person, place"


def elements(*values):
    return [
        base64.b64encode(each if isinstance(each, bytes) else each.encode()).decode()
        for each in values
    ]


def calling(model, outputs=(), shape=(-1,), options=None, **inputs):
    return {
        "model": model,
        "inputs": {name: elements(*values) for name, values in inputs.items()},
        "outputs": list(outputs),
        "shape": list(shape),
        "options": options or {},
    }


CALLS = {
    "live": {"look": "is_server_live"},
    "ready": {"look": "is_server_ready"},
    "model ready": {"look": "is_model_ready", "arguments": [DENSE]},
    "version ready": {"look": "is_model_ready", "arguments": [DENSE, "1"]},
    "server": {"look": "get_server_metadata"},
    "metadata": {"look": "get_model_metadata", "arguments": [RERANKER]},
    "index": {"look": "get_model_repository_index"},
    "load": {"look": "load_model", "arguments": [DENSE]},
    "unload": {"look": "unload_model", "arguments": [DENSE]},
    "dense": calling(DENSE, text=TEXTS),
    "column": calling(DENSE, text=TEXTS, shape=[-1, 1], outputs=["embedding"]),
    "half": calling(DENSE, text=TEXTS, options={"parameters": {"output_dtype": "float16"}}),
    "codes": calling(DENSE, text=TEXTS, options={"parameters": {"output_dtype": "int8"}}),
    "short": calling(DENSE, text=TEXTS, options={"parameters": {"dimensions": 4}}),
    "image": calling(DENSE, image=[PICTURE]),
    "sparse": calling(SPARSE, text=TEXTS),
    "multivector": calling(MULTI, text=TEXTS),
    "signs": calling(MULTI, text=TEXTS, options={"parameters": {"output_dtype": "ubinary"}}),
    "scores": calling(RERANKER, query=TEXTS[:1], documents=TEXTS),
    "entities": calling(GLINER, text=TEXTS, options={"parameters": {"labels": LABELS}}),
    "no model": calling("golden/nothing", text=TEXTS),
    "no version": calling(DENSE, text=TEXTS, options={"model_version": "2"}),
    "no output": calling(DENSE, text=TEXTS, outputs=["logits"]),
    "no parameter": calling(DENSE, text=TEXTS, options={"parameters": {"temperature": 1}}),
    "no sequence": calling(DENSE, text=TEXTS, options={"sequence_id": 3}),
    "no time": calling(DENSE, text=TEXTS, options={"timeout": 1}),
    "too much": calling(DENSE, text=["word " * 500], options={"parameters": {"truncate": "none"}}),
}


@pytest.fixture(scope="module", params=["grpc", "http"])
def results(request, golden_stack):
    """What each of CALLS gives, over one protocol."""
    address = getattr(golden_stack, f"{request.param}_address")
    command = [PYTHON, SCRIPT, request.param, address]
    done = subprocess.run(
        command, input=json.dumps(CALLS), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return {"protocol": request.param, **json.loads(done.stdout)}


def values(results, name, output):
    return np.array(results[name]["result"]["outputs"][output]["values"])


def encoded(stack, model, params=None, **item):
    items = [item] if item else [{"text": text} for text in TEXTS]
    body = {"items": items, "params": params or {}}
    reply = ask(stack.http_address, "POST", f"/v1/encode/{model}", body)
    assert reply.status == 200, reply.body
    return reply.json()["items"]


@pytest.mark.parametrize("name", ["live", "ready", "model ready", "version ready"])
def test_what_is_ready_says_so(results, name):
    assert results[name] == {"result": True}


def test_the_server_claims_what_it_has(results):
    server = results["server"]["result"]
    assert (server["name"], server["extensions"]) == ("sie", ["binary_tensor_data"])


def test_a_model_says_what_it_takes_and_gives(results):
    model = results["metadata"]["result"]
    assert (model["name"], model["versions"], model["platform"]) == (RERANKER, ["1"], "sie")
    assert [tensor["name"] for tensor in model["inputs"]] == ["query", "documents"]
    scores = {"name": "scores", "datatype": "FP32", "shape": [-1]}
    # Over gRPC the client shows 64-bit numbers as strings.
    assert json.loads(json.dumps(model["outputs"][0]).replace('"-1"', "-1")) == scores


def test_the_index_lists_the_models(results):
    index = results["index"]["result"]
    models = index["models"] if results["protocol"] == "grpc" else index
    assert {each["name"] for each in models if each["state"] == "READY"} >= set(MODELS)


def test_embeddings_equal_those_of_encode(results, golden_stack):
    expected = [item["dense"]["values"] for item in encoded(golden_stack, DENSE)]
    np.testing.assert_allclose(values(results, "dense", "embedding"), expected, atol=1e-6)
    np.testing.assert_allclose(values(results, "column", "embedding"), expected, atol=1e-6)
    assert results["dense"]["result"]["id"] == "request-7"
    assert list(results["dense"]["result"]["outputs"]) == ["embedding", "input_tokens", "truncated"]
    assert list(results["column"]["result"]["outputs"]) == ["embedding"]


@pytest.mark.parametrize(
    ("name", "params", "dtype"),
    [
        ("half", {"output_dtype": "float16"}, "f2"),
        ("codes", {"output_dtype": "int8"}, "i1"),
        ("short", {"dimensions": 4}, "f4"),
    ],
)
def test_parameters_change_what_is_given(results, golden_stack, name, params, dtype):
    expected = [item["dense"]["values"] for item in encoded(golden_stack, DENSE, params)]
    np.testing.assert_allclose(values(results, name, "embedding"), expected, atol=1e-3)
    assert results[name]["result"]["outputs"]["embedding"]["dtype"] == dtype


def test_codes_come_with_what_they_stand_for(results, golden_stack):
    items = encoded(golden_stack, DENSE, {"output_dtype": "int8"})
    expected = [[item["dense"]["range_min"], item["dense"]["range_max"]] for item in items]
    np.testing.assert_allclose(values(results, "codes", "embedding_range"), expected, atol=1e-6)


def test_pictures_are_encoded(results, golden_stack):
    image = {"data": base64.b64encode(PICTURE).decode()}
    (expected,) = encoded(golden_stack, DENSE, images=[image])
    found = values(results, "image", "embedding")
    np.testing.assert_allclose(found, [expected["dense"]["values"]], atol=1e-6)


def test_sparse_vectors_are_compressed_rows(results, golden_stack):
    offsets = values(results, "sparse", "sparse_offsets")
    for row, item in enumerate(encoded(golden_stack, SPARSE)):
        part = slice(offsets[row], offsets[row + 1])
        indices = values(results, "sparse", "sparse_indices")[part]
        assert indices.tolist() == item["sparse"]["indices"]
        weights = values(results, "sparse", "sparse_values")[part]
        np.testing.assert_allclose(weights, item["sparse"]["values"], atol=1e-5)


@pytest.mark.parametrize(("name", "dtype"), [("multivector", "float32"), ("signs", "ubinary")])
def test_token_vectors_have_offsets(results, golden_stack, name, dtype):
    offsets = values(results, name, "multivector_offsets")
    for row, item in enumerate(encoded(golden_stack, MULTI, {"output_dtype": dtype})):
        found = values(results, name, "multivector")[offsets[row] : offsets[row + 1]]
        np.testing.assert_allclose(found, item["multivector"]["values"], atol=1e-5)


def test_scores_stand_in_the_order_of_the_documents(results, golden_stack):
    body = {"query": {"text": TEXTS[0]}, "items": [{"text": text} for text in TEXTS]}
    reply = ask(golden_stack.http_address, "POST", f"/v1/score/{RERANKER}", body).json()
    ordered = sorted(reply["scores"], key=lambda entry: entry["index"])
    expected = [entry["score"] for entry in ordered]
    np.testing.assert_allclose(values(results, "scores", "scores"), expected, atol=1e-6)


def test_entities_are_those_of_extract(results, golden_stack):
    body = {
        "items": [{"text": text} for text in TEXTS],
        "params": {"labels": LABELS.split(", ")},
    }
    items = ask(golden_stack.http_address, "POST", f"/v1/extract/{GLINER}", body).json()["items"]
    found = [json.loads(each) for each in values(results, "entities", "entities")]
    assert found == [item["entities"] for item in items]


@pytest.mark.parametrize(
    ("name", "grpc_status", "http_status", "says"),
    [
        ("no model", "NOT_FOUND", 404, "golden/nothing"),
        ("no version", "NOT_FOUND", 404, "it has 1"),
        ("no output", "INVALID_ARGUMENT", 400, "there are embedding"),
        ("no parameter", "INVALID_ARGUMENT", 400, "parameters.temperature"),
        ("no sequence", "INVALID_ARGUMENT", 400, "parameters.sequence"),
        ("no time", "DEADLINE_EXCEEDED", 504, "no result within"),
        ("too much", "INVALID_ARGUMENT", 400, "text[0]: longer than"),
        ("load", "UNIMPLEMENTED", 501, "not provided"),
        ("unload", "UNIMPLEMENTED", 501, "not provided"),
    ],
)
def test_errors_reach_the_caller(results, name, grpc_status, http_status, says):
    over_grpc = results["protocol"] == "grpc"
    expected = f"StatusCode.{grpc_status}" if over_grpc else str(http_status)
    assert results[name].get("status") == expected, results[name]
    assert says in results[name]["error"]
