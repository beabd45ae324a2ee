"""A client that knows nothing but the wire: MessagePack, retries, leases, and the status stream."""

import numpy as np
import pytest

from cli.local_stack import DEFAULT_MODEL
from tests.asking import ENCODE, ask
from tests.e2e.golden_models import GOLDEN
from tests.e2e.wire_client import (
    ModelLoadFailedError,
    ProvisioningError,
    RequestError,
    ServerError,
    WireClient,
)
from tests.waiting import until

PICTURE = (GOLDEN / "clip/images/img0_48x32_rgb.png").read_bytes()
TEXTS = ["The cat sat on the mat.", "Interest rates rose again."]


@pytest.fixture
def client(stack):
    with WireClient(stack.http_address) as client:
        yield client


@pytest.fixture
def golden(golden_stack):
    with WireClient(golden_stack.http_address) as client:
        yield client


def dense(stack, texts):
    body = {"items": [{"text": text} for text in texts]}
    items = ask(stack.http_address, "POST", ENCODE, body).json()["items"]
    return np.array([item["dense"]["values"] for item in items], np.float32)


def test_one_item_in_one_result_out(stack, client):
    result = client.encode(DEFAULT_MODEL, {"id": "x", "text": TEXTS[0]}, is_query=True)
    assert (result["id"], result["dense"].shape, result["dense"].dtype) == ("x", (384,), "<f4")
    np.testing.assert_allclose(result["dense"], dense(stack, TEXTS[:1])[0], atol=1e-6)
    assert result["timing"]["total_ms"] > 0


def test_results_stand_in_the_order_of_the_items(stack, client):
    texts = [f"text number {number}" for number in range(70)]
    results = client.encode(DEFAULT_MODEL, [{"id": text, "text": text} for text in texts])
    assert [result["id"] for result in results] == texts
    np.testing.assert_allclose(
        np.stack([result["dense"] for result in results]), dense(stack, texts), atol=1e-5
    )


@pytest.mark.parametrize(("dtype", "numpy_dtype"), [("float16", "<f2"), ("int8", "|i1")])
def test_vectors_have_the_type_that_is_asked_for(client, dtype, numpy_dtype):
    result = client.encode(DEFAULT_MODEL, {"text": "a"}, output_dtype=dtype)
    assert result["dense"].dtype.str == numpy_dtype


def test_sparse_and_token_vectors_are_arrays(golden):
    indices, weights = golden.encode(
        "golden/splade_bert", {"text": "water"}, output_types=["sparse"]
    )["sparse"]
    assert (indices.dtype, weights.dtype) == ("<i4", "<f4")
    assert len(indices) == len(weights) > 0
    vectors = golden.encode("golden/colbert", {"text": "water"}, output_types=["multivector"])
    assert vectors["multivector"].shape[1] == 16


def test_pictures_travel_as_bytes(golden):
    images = [{"data": PICTURE, "format": "png"}]
    assert golden.encode("golden/clip", {"images": images})["dense"].shape == (24,)


def test_a_bad_item_leaves_the_others_their_places(golden):
    items = [
        {"id": "a", "text": "water"},
        {"id": "b", "images": [{"data": b"no picture"}]},
        {"id": "c", "images": [{"data": PICTURE}]},
    ]
    results = golden.encode("golden/clip", items)
    assert [result["id"] for result in results] == ["a", "b", "c"]
    assert ["dense" in result for result in results] == [True, False, True]
    assert results[1]["error"]["code"] == "INVALID_INPUT"


def test_token_vectors_are_scored_as_arrays(golden):
    name = "golden/colbert"
    texts = ["water", "fire", "the sea"]
    vectors = [
        golden.encode(name, {"text": text}, output_types=["multivector"])["multivector"]
        for text in texts
    ]
    query = golden.encode(name, {"text": "sea"}, output_types=["multivector"], is_query=True)
    given = golden.score(
        name,
        {"id": "q", "multivector": query["multivector"]},
        [{"id": text, "multivector": each} for text, each in zip(texts, vectors, strict=True)],
    )
    read = golden.score(name, {"text": "sea"}, [{"id": text, "text": text} for text in texts])
    assert given["query_id"] == "q"
    assert [entry[0] for entry in given["scores"]] == [entry[0] for entry in read["scores"]]
    np.testing.assert_allclose(
        [entry[1] for entry in given["scores"]], [entry[1] for entry in read["scores"]], rtol=1e-4
    )


def test_scores_are_ranked_and_named(client):
    items = [{"text": "a dog"}, {"id": "c", "text": "a cat"}]
    reply = client.score(DEFAULT_MODEL, {"text": "cat"}, items, options={})
    assert [(name, rank) for name, _, rank in reply["scores"]] == [("c", 0), ("item-0", 1)]


def test_entities_have_what_clients_index(golden):
    text = "Paris is the capital of France."
    result = golden.extract("golden/gliner", {"text": text}, labels=["place", "person"])
    assert result["id"] == "item-0"
    for entity in result["entities"]:
        assert text[entity["start"] : entity["end"]] == entity["text"]


def test_models_and_capacity_are_told(client):
    assert DEFAULT_MODEL in [model["name"] for model in client.models()]
    model = client.model(DEFAULT_MODEL)
    assert (model["name"], model["dims"], model["loaded"]) == (DEFAULT_MODEL, {"dense": 384}, True)
    assert client.capacity("CPU")["worker_count"] == 2
    assert client.capacity("l4")["worker_count"] == 0
    frames = client.watch(2)
    assert frames[1]["timestamp"] > frames[0]["timestamp"]
    assert [worker["healthy"] for worker in frames[1]["workers"]] == [True, True]


def test_errors_have_a_code_and_a_message(client):
    with pytest.raises(RequestError) as caught:
        client.encode("none", {"text": "a"})
    assert (caught.value.status, caught.value.code) == (404, "MODEL_NOT_FOUND")
    with pytest.raises(RequestError) as caught:
        client.encode(DEFAULT_MODEL, {"text": "a"}, output_types=["sparse"])
    assert (caught.value.status, caught.value.code) == (400, "UNSUPPORTED_OUTPUT")


def test_a_gpu_that_nobody_has_is_told_at_once_where_nobody_waits(stack):
    with WireClient(stack.http_address, gpu="no-such-gpu") as client:
        with pytest.raises(ServerError) as failed:
            client.encode(DEFAULT_MODEL, {"text": "a"}, wait=False)
        assert failed.value.code == "GPU_NOT_CONFIGURED"


def test_pools_are_kept_alive_by_their_leases(fresh_stack):
    fresh_stack.start(workers=1)
    address = fresh_stack.http_address
    inside = WireClient(address, gpu="tenant-abc/cpu")
    outside = WireClient(address, gpu="tenant-xyz/cpu")
    with WireClient(address, renew_s=0.2) as client, inside, outside:
        check_pool(client, inside, outside)


def check_pool(client, inside, outside):
    assert client.pool("tenant-abc") is None
    client.create_pool("tenant-abc", {"cpu": 1}, minimum_worker_count=1)
    client.create_pool("tenant-abc", {"cpu": 1})
    pool = until(lambda: _active(client.pool("tenant-abc")))
    assert pool["spec"]["gpus"] == {"cpu": 1}
    assert [worker["gpu"] for worker in pool["status"]["assigned_workers"]] == ["cpu"]
    until(lambda: client.renewed >= 2)
    assert inside.encode(DEFAULT_MODEL, {"text": "a"})["dense"].shape == (384,)
    # There is but one worker.
    client.create_pool("tenant-xyz", {"cpu": 1})
    with pytest.raises(ProvisioningError) as coming:
        outside.encode(DEFAULT_MODEL, {"text": "a"}, wait=False)
    assert coming.value.retry_after >= 1
    assert client.delete_pool("tenant-abc")
    assert outside.encode(DEFAULT_MODEL, {"text": "a"})["dense"].shape == (384,)
    assert not client.delete_pool("tenant-abc")
    with pytest.raises(RequestError, match="gpus"):
        client.create_pool("tenant-def", {})


def _active(pool):
    return pool if pool and pool["status"]["state"] == "active" else None


def test_a_model_that_cannot_be_loaded_says_whether_to_come_back(fresh_stack, tmp_path):
    fresh_stack.start(workers=1)
    empty = tmp_path / "empty"
    empty.mkdir()
    model = {
        "model_id": "org/broken",
        "sources": [{"directory": str(empty)}],
        "tasks": {"encode": {"dense": {"dims": 4}}},
    }
    reply = ask(fresh_stack.http_address, "POST", "/v1/configs/models", model)
    assert reply.status < 300, reply.body
    client = WireClient(fresh_stack.http_address)
    with client, pytest.raises(ModelLoadFailedError) as caught:
        client.encode("org/broken", {"text": "a"})
    details = caught.value.details
    assert (details["permanent"], details["attempts"]) == (True, 1)
    assert details["error_class"]
