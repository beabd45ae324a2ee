"""The clients that users of this field already have."""

import asyncio
import base64
import json

import httpx
import msgpack
import numpy as np
import openai
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from cli.local_stack import DEFAULT_MODEL
from tests.asking import ENCODE, ask
from tests.e2e.wire_client import arrays

MSGPACK = {"content-type": "application/msgpack", "accept": "application/msgpack"}


def post(stack, path, body):
    reply = ask(stack.http_address, "POST", path, msgpack.packb(body), MSGPACK)
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == "application/msgpack"
    return msgpack.unpackb(reply.body, object_pairs_hook=arrays, strict_map_key=False)


def as_json(stack, path, body):
    reply = ask(stack.http_address, "POST", path, body)
    assert reply.status == 200, reply.body
    return reply.json()


@pytest.fixture
def client(stack):
    return openai.OpenAI(base_url=f"http://{stack.http_address}/v1", api_key="none", max_retries=0)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint8", "binary", "ubinary"])
def test_messagepack_carries_the_numbers_of_json(stack, dtype):
    body = {"items": [{"id": "a", "text": "Hello"}], "params": {"output_dtype": dtype}}
    packed = post(stack, ENCODE, body)
    (plain,) = as_json(stack, ENCODE, body)["items"]
    (item,) = packed["items"]
    assert item["id"] == "a"
    values = item["dense"].pop("values")
    assert values.dtype == {"float32": "<f4", "float16": "<f2"}.get(dtype, values.dtype)
    np.testing.assert_allclose(values, np.array(plain["dense"].pop("values")), atol=1e-3)
    assert item["dense"].pop("dtype") == plain["dense"].pop("dtype") == dtype
    assert item["dense"] == pytest.approx(plain["dense"], rel=1e-6)


def test_a_score_has_the_three_keys_that_clients_read(stack):
    body = {"query": {"text": "cat"}, "items": [{"text": "a dog"}, {"id": "c", "text": "a cat"}]}
    scores = post(stack, f"/v1/score/{DEFAULT_MODEL}", body)["scores"]
    assert [(entry["item_id"], entry["rank"]) for entry in scores] == [("c", 0), ("item-0", 1)]
    assert all(isinstance(entry["score"], float) for entry in scores)


def test_options_may_hold_what_has_a_field_of_its_own(stack):
    body = {
        "items": [{"text": "x"}],
        "params": {"options": {"is_query": True, "profile": "default"}},
    }
    assert len(post(stack, ENCODE, body)["items"]) == 1
    body["params"]["is_query"] = False
    reply = ask(stack.http_address, "POST", ENCODE, body)
    assert reply.json()["error"]["metadata"]["field"] == "params.options.is_query"


def test_errors_are_json_that_every_client_reads(stack):
    reply = ask(
        stack.http_address, "POST", "/v1/encode/none", msgpack.packb({"items": []}), MSGPACK
    )
    assert reply.status == 404
    assert reply.json()["detail"]["code"] == reply.json()["error"]["code"] == "MODEL_NOT_FOUND"


def test_health_tells_the_cluster(stack):
    health = ask(stack.http_address, "GET", "/health", headers=MSGPACK).json()
    assert (health["status"], health["type"]) == ("healthy", "gateway")
    assert health["cluster"] == {"worker_count": 2, "gpu_count": 0, "models_loaded": 1}
    assert (health["configured_gpu_types"], health["live_gpu_types"]) == (["cpu"], ["cpu"])
    assert [worker["name"] for worker in health["workers"]] == ["worker-1", "worker-2"]
    assert health["workers"][0]["loaded_models"] == [DEFAULT_MODEL]
    assert health["models"][0]["worker_count"] == 2


def test_the_cluster_is_watched_over_a_websocket(stack):
    with connect(f"ws://{stack.http_address}/ws/cluster-status") as socket:
        frames = [json.loads(socket.recv(timeout=10)) for _ in range(2)]
    assert frames[0]["timestamp"] < frames[1]["timestamp"]
    assert frames[1]["cluster"]["worker_count"] == 2
    assert [lane["worker_count"] for lane in frames[1]["lanes"]] == [2]
    assert [pool["spec"]["name"] for pool in frames[1]["pools"]] == ["default"]
    with pytest.raises(InvalidStatus, match=r"404|403|rejected"):
        connect(f"ws://{stack.http_address}/ws/other").recv(timeout=10)


def test_openai_embeds_with_exact_usage(stack, client):
    texts = ["Hello world", "Interest rates rose again."]
    reply = client.embeddings.create(model=DEFAULT_MODEL, input=texts)
    ours = as_json(stack, ENCODE, {"items": [{"text": text} for text in texts]})["items"]
    assert reply.object == "list"
    for index, (entry, item) in enumerate(zip(reply.data, ours, strict=True)):
        assert entry.index == index
        np.testing.assert_allclose(entry.embedding, item["dense"]["values"], atol=1e-6)
    tokens = sum(item["input_tokens"] for item in ours)
    assert (reply.usage.prompt_tokens, reply.usage.total_tokens) == (tokens, tokens)


def test_openai_reads_token_ids(stack, client):
    texts = ["Hello world", "Interest rates rose again."]
    asked = {"model": DEFAULT_MODEL, "items": [{"text": text} for text in texts]}
    ids = [item["token_ids"] for item in as_json(stack, "/v1/tokenize", asked)["items"]]
    of_texts = client.embeddings.create(model=DEFAULT_MODEL, input=texts)
    of_ids = client.embeddings.create(model=DEFAULT_MODEL, input=ids)
    for ours, theirs in zip(of_ids.data, of_texts.data, strict=True):
        np.testing.assert_allclose(ours.embedding, theirs.embedding, atol=1e-6)
    assert of_ids.usage == of_texts.usage
    one = client.embeddings.create(model=DEFAULT_MODEL, input=ids[1])
    np.testing.assert_allclose(one.data[0].embedding, of_texts.data[1].embedding, atol=1e-6)


def test_openai_cuts_long_texts_where_that_is_asked_for(client):
    reply = client.embeddings.create(
        model=DEFAULT_MODEL, input="water " * 300, extra_body={"truncate": True}
    )
    assert reply.usage.prompt_tokens == 256


def test_openai_reads_numbers_and_base64_alike(stack, client):
    numbers = client.embeddings.create(
        model=DEFAULT_MODEL, input="Hello", encoding_format="float", dimensions=64
    )
    body = {"model": DEFAULT_MODEL, "input": "Hello", "encoding_format": "base64", "dimensions": 64}
    (entry,) = as_json(stack, "/v1/embeddings", body)["data"]
    packed = np.frombuffer(base64.b64decode(entry["embedding"]), "<f4")
    np.testing.assert_allclose(packed, numbers.data[0].embedding, atol=1e-7)


def test_openai_lists_the_models(client):
    listed = client.models.list()
    assert DEFAULT_MODEL in [model.id for model in listed]
    assert client.models.retrieve(DEFAULT_MODEL).id == DEFAULT_MODEL


@pytest.mark.parametrize(
    ("arguments", "error", "param"),
    [
        ({"model": "none", "input": "x"}, openai.NotFoundError, None),
        ({"model": "", "input": "x"}, openai.BadRequestError, "model"),
        ({"model": DEFAULT_MODEL, "input": []}, openai.BadRequestError, "input"),
        ({"model": DEFAULT_MODEL, "input": ["x", ""]}, openai.BadRequestError, "input[1]"),
        ({"model": DEFAULT_MODEL, "input": ["x"] * 2049}, openai.BadRequestError, "input"),
        ({"model": DEFAULT_MODEL, "input": [[99_999]]}, openai.BadRequestError, "input[0][0]"),
        ({"model": DEFAULT_MODEL, "input": "water " * 300}, openai.BadRequestError, "input"),
        (
            {"model": DEFAULT_MODEL, "input": "x", "dimensions": 9999},
            openai.BadRequestError,
            "dimensions",
        ),
    ],
)
def test_openai_gets_its_own_errors(client, arguments, error, param):
    with pytest.raises(error) as caught:
        client.embeddings.create(**arguments)
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"
    assert caught.value.code


def test_openai_hears_503_where_capacity_is_on_its_way(stack, client):
    with pytest.raises(openai.InternalServerError) as caught:
        client.embeddings.create(
            model=DEFAULT_MODEL,
            input="x",
            extra_headers={"x-sie-machine-profile": "nothing-like-it"},
        )
    assert caught.value.status_code == 503


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])
def test_rerank_has_the_shape_that_its_clients_read(stack, path):
    body = {
        "model": DEFAULT_MODEL,
        "query": "Where did the cat sit?",
        "documents": ["Interest rates rose.", {"text": "The cat sat on the mat."}],
        "top_n": 1,
        "return_documents": True,
    }
    reply = as_json(stack, path, body)
    (best,) = reply["results"]
    assert (best["index"], best["document"]) == (1, {"text": "The cat sat on the mat."})
    assert 0.5 < best["relevance_score"] <= 1
    assert reply["usage"]["total_tokens"] > 10
    assert reply["meta"] == {"billed_units": {"search_units": 1}}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"documents": []}, "documents"),
        ({"documents": ["a", 5]}, "documents[1]"),
        ({"documents": ["a", {"title": "b"}]}, "documents[1]"),
        ({"top_n": -1}, "top_n"),
        ({"max_tokens_per_doc": 16}, "max_tokens_per_doc"),
        ({"rank_fields": ["a"]}, "rank_fields"),
        ({"query": ""}, "query"),
        ({"model": ""}, "model"),
    ],
)
def test_rerank_refuses_what_it_would_not_do(stack, changes, field):
    body = {"model": DEFAULT_MODEL, "query": "cat", "documents": ["a"]} | changes
    reply = ask(stack.http_address, "POST", "/v2/rerank", body)
    assert (reply.status, reply.json()["error"]["metadata"]["field"]) == (400, field)


def test_tei_routes_answer_with_the_default_models(stack):
    rows = as_json(stack, "/embed", {"inputs": ["a", "b"], "normalize": True})
    assert np.array(rows).shape == (2, 384)
    ranks = as_json(
        stack, "/rerank", {"query": "cat", "texts": ["dog", "cat"], "return_text": True}
    )
    assert (ranks[0]["index"], ranks[0]["text"]) == (1, "cat")
    info = ask(stack.http_address, "GET", "/info").json()
    assert (info["model_id"], info["max_input_length"]) == (DEFAULT_MODEL, 256)
    refused = ask(stack.http_address, "POST", "/embed", {"inputs": "a", "normalize": False})
    assert refused.json()["error"]["metadata"]["field"] == "normalize"


async def test_many_clients_of_both_kinds_at_once(stack):
    async with httpx.AsyncClient(base_url=f"http://{stack.http_address}", timeout=60) as client:

        async def one(number):
            text = f"text number {number}"
            body = msgpack.packb({"items": [{"text": text}]})
            packed = await client.post(ENCODE, content=body, headers=MSGPACK)
            plain = await client.post(
                "/v1/embeddings", json={"model": DEFAULT_MODEL, "input": text}
            )
            item = msgpack.unpackb(packed.content, object_pairs_hook=arrays, strict_map_key=False)[
                "items"
            ][0]
            vector = plain.json()["data"][0]["embedding"]
            np.testing.assert_allclose(item["dense"]["values"], vector, atol=1e-5)

        await asyncio.gather(*map(one, range(40)))
