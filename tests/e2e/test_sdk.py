"""The client package against a cluster, over both of its wires."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli.local_stack import DEFAULT_MODEL
from sie_sdk import SIEAsyncClient, SIEClient, errors
from sie_sdk.types import Item
from tests.e2e.golden_models import GOLDEN, MINILM
from tests.waiting import until

# Those that follow are long, which test_encode.py is about.
TEXTS = json.loads((MINILM / "texts.json").read_bytes())[:26]
REFERENCE = np.load(MINILM / "reference.npy")[:26]
CLIENTS_PYTHON = Path(sys.prefix) / "clients/bin/python"
SDK = Path(__file__).parents[2] / "sdk/src"
ADAPTERS = Path(__file__).parents[1] / "clients/adapters.py"


def url_of(stack, wire):
    return f"http://{stack.http_address}" if wire == "http" else f"grpc://{stack.grpc_address}"


@pytest.fixture(params=["http", "grpc"])
def wire(request):
    return request.param


@pytest.fixture
def client(stack, wire):
    with SIEClient(url_of(stack, wire)) as client:
        yield client


@pytest.fixture
def golden(golden_stack, wire):
    with SIEClient(url_of(golden_stack, wire)) as client:
        yield client


def test_the_documented_calls(client):
    result = client.encode(DEFAULT_MODEL, Item(text="Hello world"), gpu="cpu")
    assert result["dense"].shape == (384,)
    also = client.encode(
        DEFAULT_MODEL,
        {"text": "Hello world"},
        gpu="cpu",
        wait_for_capacity=True,
        provision_timeout_s=420,
    )
    # Another worker may answer, with as many threads as it has cores, which add in another order.
    np.testing.assert_allclose(also["dense"], result["dense"], atol=1e-6)


def test_pools_as_documented(client):
    client.create_pool("tenant-sdk", {"cpu": 1})
    try:
        result = client.encode(DEFAULT_MODEL, Item(text="Hello world"), gpu="tenant-sdk/cpu")
        assert result["dense"].shape == (384,)
        info = client.get_pool("tenant-sdk")
        until(lambda: client.get_pool("tenant-sdk")["status"]["state"] == "active")
        assert info["name"] == "tenant-sdk"
        assert {pool["name"] for pool in client.list_pools()} >= {"default", "tenant-sdk"}
        assert client.get_capacity("tenant-sdk/cpu")["worker_count"] == 1
    finally:
        assert client.delete_pool("tenant-sdk")
    assert client.get_pool("tenant-sdk") is None
    until(lambda: client.get_capacity("default/cpu")["worker_count"] == 2)


def test_results_are_the_reference_in_bulk_and_by_iterator(client):
    results = client.encode(DEFAULT_MODEL, TEXTS, batch_size=16)
    vectors = np.stack([result["dense"] for result in results])
    np.testing.assert_allclose(vectors, REFERENCE, atol=1e-5, rtol=0)
    items = ({"id": str(number), "text": text} for number, text in enumerate(TEXTS))
    for number, result in enumerate(client.encode_iter(DEFAULT_MODEL, items, batch_size=7)):
        assert result["id"] == str(number)
        np.testing.assert_allclose(result["dense"], REFERENCE[number], atol=1e-5, rtol=0)
    assert number == len(TEXTS) - 1


async def test_the_asyncio_client_gives_the_same(stack, wire):
    async with SIEAsyncClient(url_of(stack, wire)) as client:
        one, several = await asyncio.gather(
            client.encode(DEFAULT_MODEL, TEXTS[0]),
            client.encode(DEFAULT_MODEL, TEXTS[:20], batch_size=4),
        )
        found = [
            result["dense"]
            async for result in client.encode_iter(DEFAULT_MODEL, TEXTS[:20], batch_size=3)
        ]
        np.testing.assert_allclose(one["dense"], REFERENCE[0], atol=1e-5)
        np.testing.assert_allclose(found, REFERENCE[:20], atol=1e-5)
        assert len(several) == 20
        assert (await client.wait_for_capacity("cpu"))["worker_count"] == 2
        async with client.pool("tenant-async", {"cpu": 1}) as pool:
            assert pool["spec"]["gpus"] == {"cpu": 1}
        assert await client.get_pool("tenant-async") is None


@pytest.mark.parametrize(
    ("dtype", "shape", "kind"),
    [
        ("float16", (384,), "<f2"),
        ("int8", (384,), "|i1"),
        ("uint8", (384,), "|u1"),
        ("binary", (48,), "|i1"),
        ("ubinary", (48,), "|u1"),
    ],
)
def test_element_types(client, dtype, shape, kind):
    result = client.encode(DEFAULT_MODEL, "Hello", output_dtype=dtype)
    assert (result["dense"].shape, result["dense"].dtype) == (shape, np.dtype(kind))
    assert ("dense_range" in result) == dtype.endswith("int8")


def test_outputs_other_than_dense(golden):
    rows = golden.encode("golden/colbert", ["Paris is here.", "Bob"], output_types=["multivector"])
    assert rows[0]["multivector"].ndim == 2
    assert len(rows[0]["multivector"]) > len(rows[1]["multivector"])
    sparse = golden.encode("golden/splade_bert", "Paris is here.")["sparse"]
    assert sparse["indices"].shape == sparse["values"].shape
    assert (np.diff(sparse["indices"]) > 0).all()


def test_token_vectors_can_be_given_back(golden):
    texts = ["Paris is here.", "Bob lives there."]
    stored = golden.encode("golden/colbert", texts)
    items = [Item(id=str(n), multivector=each["multivector"]) for n, each in enumerate(stored)]
    by_vectors = golden.score("golden/colbert", "Where is Paris?", items)
    by_text = golden.score("golden/colbert", "Where is Paris?", texts)
    assert [each["index"] for each in by_vectors["scores"]] == [
        each["index"] for each in by_text["scores"]
    ]
    assert by_vectors["kind"] == "maxsim"


def test_pictures_in_every_form(golden):
    path = GOLDEN / "clip/images/img0_48x32_rgb.png"
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
        given = [path, str(path), path.read_bytes(), image.copy(), pixels]
    results = golden.encode("golden/clip", [{"images": [each]} for each in given])
    vectors = np.stack([result["dense"] for result in results])
    for exact in vectors[1:3]:
        np.testing.assert_allclose(exact, vectors[0], atol=1e-6)
    # Pixels become JPEG on the way.
    assert (vectors @ vectors[0] / (vectors[0] @ vectors[0]) > 0.95).all()


def test_extraction(golden):
    text = "Bob lives in Paris."
    one = golden.extract("golden/gliner", text, labels=["person", "place"], threshold=0.01)
    for entity in one["entities"]:
        assert text[entity["start"] : entity["end"]] == entity["text"]
        assert isinstance(entity.get("bbox", []), list)
    several = golden.extract("golden/gliner", [text, "x"], labels=["person"], threshold=0.01)
    assert len(several) == 2
    assert {"entities", "relations", "classifications", "objects"} <= several[1].keys()


def test_models(client):
    listed = {model["name"]: model for model in client.list_models()}
    info = client.get_model(DEFAULT_MODEL)
    assert info["dims"]["dense"] == 384
    assert info["state"] == listed[DEFAULT_MODEL]["state"] == "loaded"


@pytest.mark.parametrize(
    ("call", "error", "status", "code"),
    [
        (lambda c: c.encode("no/model", "x"), errors.RequestError, 404, "MODEL_NOT_FOUND"),
        (
            lambda c: c.encode(DEFAULT_MODEL, "x", output_types=["sparse"]),
            errors.RequestError,
            400,
            "UNSUPPORTED_OUTPUT",
        ),
        (
            lambda c: c.encode(DEFAULT_MODEL, "x", gpu="h100"),
            errors.ServerError,
            503,
            "GPU_NOT_CONFIGURED",
        ),
        (
            lambda c: c.encode(DEFAULT_MODEL, "word " * 400, truncate="none"),
            errors.RequestError,
            400,
            "INVALID_INPUT",
        ),
        (
            lambda c: c.encode(DEFAULT_MODEL, "x", options={"colour": 1}),
            errors.RequestError,
            400,
            "INVALID_INPUT",
        ),
        (lambda c: c.encode(DEFAULT_MODEL, {"id": "a"}), errors.RequestError, 400, "INVALID_INPUT"),
        (lambda c: c.create_pool("BAD", {"cpu": 1}), errors.PoolError, 400, "INVALID_INPUT"),
        (lambda c: c.get_model("no/model"), errors.RequestError, 404, "MODEL_NOT_FOUND"),
    ],
)
def test_errors_are_the_same_over_both_wires(client, call, error, status, code):
    with pytest.raises(error) as caught:
        call(client)
    assert type(caught.value) is error
    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert caught.value.request_id


def test_no_worker_yet(client):
    with client.pool("tenant-all", {"cpu": 2}):
        until(lambda: client.get_capacity("default/cpu")["worker_count"] == 0)
        with pytest.raises(errors.ProvisioningError) as caught:
            client.encode(DEFAULT_MODEL, "x", gpu="cpu", wait_for_capacity=False)
        assert (caught.value.gpu, caught.value.status_code) == ("cpu", 202)
        assert caught.value.retry_after >= 1
        with pytest.raises(errors.ProvisioningError):
            client.encode(DEFAULT_MODEL, "x", gpu="cpu", provision_timeout_s=2)
    until(lambda: client.get_capacity("default/cpu")["worker_count"] == 2)


def test_many_threads_share_a_client(client):
    with ThreadPoolExecutor(16) as threads:
        found = list(
            threads.map(lambda text: client.encode(DEFAULT_MODEL, text)["dense"], TEXTS * 2)
        )
    np.testing.assert_allclose(found, np.tile(REFERENCE, (2, 1)), atol=1e-5, rtol=0)


def test_the_cluster_is_watched(stack):
    with SIEClient(f"http://{stack.http_address}") as client:
        frames = client.watch()
        assert next(frames)["timestamp"] < next(frames)["timestamp"]
        frames.close()
    elsewhere = SIEClient(f"http://{stack.http_address}/elsewhere")
    with elsewhere as client, pytest.raises(errors.RequestError):
        next(client.watch())
    over_grpc = SIEClient(f"grpc://{stack.grpc_address}")
    with over_grpc as client, pytest.raises(errors.SIEError, match="http"):
        next(client.watch())


async def test_the_cluster_is_watched_with_asyncio(stack):
    async with SIEAsyncClient(f"http://{stack.http_address}") as client:
        frames = client.watch()
        assert (await anext(frames))["cluster"]["worker_count"] == 2
        await frames.aclose()


def test_a_gateway_that_restarts_is_waited_for(fresh_stack):
    fresh_stack.start()
    for wire in ("http", "grpc"):
        with SIEClient(url_of(fresh_stack, wire)) as client:
            before = client.encode(DEFAULT_MODEL, "x")["dense"]
            fresh_stack.processes["gateway-1"].kill()
            started = threading.Timer(1.0, lambda: fresh_stack.start_gateway("gateway-1"))
            started.start()
            after = client.encode(DEFAULT_MODEL, "x", provision_timeout_s=60)["dense"]
            started.join()
            np.testing.assert_allclose(before, after, atol=1e-6)


@pytest.mark.skipif(
    not CLIENTS_PYTHON.exists(), reason="`make clients` installs the frameworks of the adapters"
)
@pytest.mark.parametrize("framework", ["langchain", "llama_index"])
def test_adapters(stack, framework):
    url = url_of(stack, "http")
    ran = subprocess.run(
        [CLIENTS_PYTHON, ADAPTERS, framework, url, DEFAULT_MODEL],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SDK)},
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    gave = json.loads(ran.stdout)
    assert np.shape(gave["documents"]) == (3, 384)
    np.testing.assert_allclose(gave["async_documents"], gave["documents"], atol=1e-5)
    np.testing.assert_allclose(gave["async_query"], gave["query"], atol=1e-5)
    assert gave["found"] == ["The cat sat on the mat."]
    assert gave["ranked"][0][0] == "The cat sat on the mat."
    assert gave["ranked"][0][1] > gave["ranked"][1][1]
    assert (len(gave["ranked"]), gave["none"]) == (2, [])
    np.testing.assert_allclose(
        [score for _, score in gave["async_ranked"]],
        [score for _, score in gave["ranked"]],
        atol=1e-5,
    )
    assert gave["sources"][0] == "T"


def batch_of(texts):
    return [
        {
            "custom_id": str(number),
            "method": "POST",
            "url": f"/v1/encode/{DEFAULT_MODEL}",
            "body": {"items": [] if text is None else [{"text": text}]},
        }
        for number, text in enumerate(texts)
    ]


def test_a_batch_from_its_requests_to_its_results(client, tmp_path):
    told = []
    made = client.create_batch("/v1/encode", batch_of([*TEXTS, None]), metadata={"a": "b"})
    done = client.wait_for_batch(
        made["id"], progress=lambda *how_far: told.append(how_far), timeout_s=60
    )
    assert (done["status"], done["metadata"]) == ("completed", {"a": "b"})
    assert told[-1] == (len(TEXTS) + 1, len(TEXTS) + 1)
    results = list(client.batch_results(made["id"]))
    assert [each["custom_id"] for each in results] == [str(n) for n in range(len(TEXTS))]
    first = results[0]["response"]["body"]["items"][0]["dense"]["values"]
    np.testing.assert_allclose(first, REFERENCE[0], atol=1e-4)
    (failed,) = client.batch_errors(made["id"])
    assert failed["response"]["body"]["error"]["metadata"]["field"] == "items"
    assert made["id"] in [each["id"] for each in client.list_batches()]
    client.delete_batch(made["id"])
    with pytest.raises(errors.RequestError) as caught:
        client.get_batch(made["id"])
    assert caught.value.code == "BATCH_NOT_FOUND"


def test_a_file_comes_back_as_it_went(client, tmp_path):
    content = os.urandom(9_000_000)
    path = tmp_path / "large.jsonl"
    path.write_bytes(content)
    file = client.upload_file(path)
    assert (file["bytes"], file["filename"]) == (len(content), "large.jsonl")
    assert b"".join(client.read_file(file["id"])) == content
    client.delete_file(file["id"])
    with pytest.raises(errors.RequestError):
        list(client.read_file(file["id"]))


def test_a_batch_with_asyncio(stack, wire):
    async def run():
        async with SIEAsyncClient(url_of(stack, wire)) as client:
            made = await client.create_batch("/v1/encode", batch_of(TEXTS[:3]))
            await client.wait_for_batch(made["id"], timeout_s=60)
            return [each async for each in client.batch_results(made["id"])]

    assert len(asyncio.run(run())) == 3
