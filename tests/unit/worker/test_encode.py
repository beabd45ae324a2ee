"""An Encode work item becomes the outputs it asks for, in the types it asks for."""

import base64
import io
from types import SimpleNamespace

import numpy as np
import pytest
from google.protobuf import json_format
from PIL import Image

from servicekit.errors import SieError
from sie.inference.v1.inference_service_pb2 import EncodeResponse
from sie.inference.v1.tensor_pb2 import DataType
from sie.registry.v1.model_pb2 import Model
from sie.work.v1.work_item_pb2 import WorkItem
from tests.unit.worker.goldens import COLBERT, HIDDEN, SPLADE, TEXTS, UNIT, Golden
from worker.batching.packing import PreparedImage, pack_images, pack_texts
from worker.hosting.loader import check_abilities
from worker.hosting.loading import load
from worker.hosting.overrides import overrides_of
from worker.load_errors import LoadError
from worker.texts.tokenizer import TokenizedText
from worker.verbs.encode import EncodeJob

BGE_M3 = next(golden for golden in TEXTS if golden.name == "bge_m3")
SPLADE_BERT = next(golden for golden in TEXTS if golden.name == "splade_bert")
CLIP, SIGLIP = Golden("clip", {}), Golden("siglip", {})
MODEL = Model(model_id="m")


class FakeDelivery:
    """A delivery that remembers what it is answered with."""

    max_fragment_bytes = 1_000_000

    def __init__(self, texts, **params):
        given = [{"text": each} if isinstance(each, str) else each for each in texts]
        items = [{"id": str(index), **each} for index, each in enumerate(given)]
        request = {"encode": {"items": items, "params": params}}
        self.item = json_format.ParseDict(request, WorkItem())
        self.fragments = None

    async def reply(self, _verb, fragments):
        self.fragments = fragments


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    goldens = [BGE_M3, SPLADE_BERT, COLBERT, CLIP, SIGLIP]
    return {golden.name: load(golden.directory, cache, cores=1) for golden in goldens}


def run(job, inputs, engine, pack):
    outputs = engine.run(pack([given for _, given in inputs]), sorted(job.outputs))
    assert outputs.keys() == job.outputs
    for row, (index, _) in enumerate(inputs):
        job.put(index, outputs, row)


async def answer(loaded, texts, *, model=MODEL, **params):
    """Run a request through a job, and return its results."""
    job = EncodeJob(FakeDelivery(texts, **params), model, loaded)
    inputs = job.prepare()
    images = [each for each in inputs if isinstance(each[1], PreparedImage)]
    read = [each for each in inputs if not isinstance(each[1], PreparedImage)]
    if read:
        run(job, read, loaded.engine, pack_texts)
    if images:
        run(job, images, loaded.vision.engine, pack_images)
    assert job.done
    await job.finish()
    return EncodeResponse.FromString(b"".join(job.delivery.fragments)).items


async def test_one_pass_answers_with_every_output(models):
    kinds = ["OUTPUT_TYPE_DENSE", "OUTPUT_TYPE_SPARSE", "OUTPUT_TYPE_MULTIVECTOR"]
    texts, reference = BGE_M3.inputs["texts"], BGE_M3.reference
    results = await answer(models["bge_m3"], texts, output_types=kinds)
    for row, result in enumerate(results):
        np.testing.assert_allclose(result.dense.values, reference["dense"][row], atol=UNIT, rtol=0)
        sparse = np.zeros(result.sparse.dims, np.float32)
        sparse[list(result.sparse.indices)] = result.sparse.values
        np.testing.assert_allclose(sparse, reference["sparse"][row], atol=HIDDEN, rtol=0)
        vectors = np.array(result.multivector.values).reshape(
            result.multivector.num_tokens, result.multivector.token_dims
        )
        expected = reference["colbert"][row, : result.input_tokens - 1]
        np.testing.assert_allclose(vectors, expected, atol=UNIT, rtol=0)


async def test_no_output_named_means_the_models_first(models):
    (result,) = await answer(models["bge_m3"], ["water"])
    assert result.HasField("dense")
    assert not result.HasField("sparse")
    assert not result.HasField("multivector")


async def test_the_first_output_is_the_registrys_where_it_declares_some(models):
    tasks = {"encode": {"sparse": {"dims": 941}, "multivector": {"dims": 48}}}
    model = json_format.ParseDict({"model_id": "m", "tasks": tasks}, Model())
    (result,) = await answer(models["bge_m3"], ["water"], model=model)
    assert (result.HasField("dense"), result.HasField("sparse")) == (False, True)


async def test_the_profile_says_the_outputs_where_the_request_does_not(models):
    profile = {
        "default": {"output_types": ["OUTPUT_TYPE_SPARSE"], "output_dtype": "DATA_TYPE_INT8"}
    }
    model = json_format.ParseDict({"model_id": "m", "profiles": profile}, Model())
    (result,) = await answer(models["bge_m3"], ["water"], model=model)
    assert (result.HasField("dense"), result.HasField("sparse")) == (False, True)
    assert result.sparse.dtype == DataType.DATA_TYPE_FLOAT32


async def test_splade_answers_with_weights_over_the_vocabulary(models):
    results = await answer(models["splade_bert"], SPLADE_BERT.inputs["texts"])
    for row, result in enumerate(results):
        assert list(result.sparse.indices) == sorted(set(result.sparse.indices))
        sparse = np.zeros(result.sparse.dims, np.float32)
        sparse[list(result.sparse.indices)] = result.sparse.values
        expected = SPLADE_BERT.reference["sparse"][row]
        np.testing.assert_allclose(sparse, expected, atol=SPLADE, rtol=0)


@pytest.mark.parametrize("is_query", [True, False])
async def test_colbert_answers_queries_and_documents_differently(models, is_query):
    kind, texts = ("query", "queries") if is_query else ("doc", "documents")
    results = await answer(models["colbert"], COLBERT.inputs[texts], is_query=is_query)
    reference = COLBERT.reference[f"{kind}_vectors"]
    for result, expected in zip(results, reference, strict=True):
        vectors = np.array(result.multivector.values).reshape(
            result.multivector.num_tokens, result.multivector.token_dims
        )
        kept = expected[np.abs(expected).any(axis=1)]
        np.testing.assert_allclose(vectors, kept, atol=UNIT, rtol=0)


async def test_the_end_is_kept_where_the_beginning_is_cut(models):
    text = "How do I reset my password? " * 30
    right, left, short = [
        (await answer(models["bge_m3"], [given], truncate=cut))[0]
        for given, cut in [
            (text, "TRUNCATE_RIGHT"),
            ("water " + text, "TRUNCATE_LEFT"),
            (text, "TRUNCATE_LEFT"),
        ]
    ]
    assert right.truncated
    assert left.truncated
    assert list(left.dense.values) == list(short.dense.values) != list(right.dense.values)


def image(golden, number):
    content = (golden.directory / golden.inputs["images"][number]).read_bytes()
    return {"images": [{"data": base64.b64encode(content).decode()}]}


@pytest.mark.parametrize("golden", [CLIP, SIGLIP], ids=str)
async def test_texts_and_images_of_one_request_have_the_vectors_of_the_reference(models, golden):
    texts, reference = golden.inputs["texts"][:5], golden.reference
    mixed = [each for n, text in enumerate(texts) for each in (text, image(golden, n))]
    results = await answer(models[golden.name], mixed)
    assert [result.id for result in results] == [str(number) for number in range(10)]
    for number in range(5):
        text, picture = results[2 * number].dense.values, results[2 * number + 1].dense.values
        for found, name in [(text, "text_embeds"), (picture, "image_embeds")]:
            expected = reference[name][number]
            np.testing.assert_allclose(found, expected, atol=HIDDEN, rtol=0)
    assert results[1].input_tokens == 16


async def test_what_is_no_image_fails_alone(models):
    bad = {"images": [{"data": base64.b64encode(b"no image").decode()}]}
    first, second, third = await answer(models["clip"], ["water", bad, image(CLIP, 0)])
    assert second.error.metadata["field"] == "items[1].images[0]"
    assert len(first.dense.values) == len(third.dense.values) == 24


async def test_an_image_of_too_many_pixels_is_refused(models):
    big = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(big, "PNG")
    bad = {"images": [{"data": base64.b64encode(big.getvalue()).decode()}]}
    (_, result) = await answer(models["clip"], ["water", bad])
    assert "50000000 are allowed" in result.error.message
    assert result.error.metadata["field"] == "items[1].images[0]"


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, "default: water"),
        ({"is_query": True}, "query: water"),
        ({"is_query": False}, "passage: water"),
        ({"is_query": True, "instruction": "Find: "}, "Find: water"),
        ({"is_query": True, "profile": "p"}, "profile: water"),
        ({"is_query": False, "profile": "p"}, "water"),
    ],
)
def test_the_nearest_prompt_stands_before_the_text(params, expected):
    asked = []

    def encode(texts, **_):
        asked.extend(texts)
        return [TokenizedText(np.array([1], np.int32), truncated=False) for _ in texts]

    loaded = SimpleNamespace(
        sizes={"dense": 4},
        prompts={"query": "query: ", "passage": "passage: "},
        default_prompt="default: ",
        tokenizer=SimpleNamespace(encode=encode),
    )
    profile = {"p": {"query_prompt": "profile: ", "document_prompt": ""}}
    model = json_format.ParseDict({"model_id": "m", "profiles": profile}, Model())
    EncodeJob(FakeDelivery(["water"], **params), model, loaded).prepare()
    assert asked == [expected]


@pytest.mark.parametrize(
    ("name", "params", "problem"),
    [
        ("colbert", {"output_types": ["OUTPUT_TYPE_DENSE"]}, "model 'm' gives no dense vectors"),
        (
            "bge_m3",
            {"output_types": ["OUTPUT_TYPE_UNSPECIFIED"]},
            "model 'm' gives no such vectors",
        ),
        ("splade_bert", {"output_dtype": "DATA_TYPE_INT8"}, "sparse vectors are float32"),
    ],
)
def test_what_the_model_does_not_give_is_refused(models, name, params, problem):
    with pytest.raises(SieError, match=problem):
        EncodeJob(FakeDelivery(["water"], **params), MODEL, models[name])


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ({"sparse": {"dims": 941}, "dense": {"dims": 48}}, None),
        ({"sparse": {"dims": 940}}, "940 dimensions of sparse, the checkpoint has 941"),
        ({"multivector": {"dims": 128}}, "128 dimensions of multivector"),
    ],
)
def test_the_registry_must_say_what_the_checkpoint_is(tmp_path, declared, problem):
    model = json_format.ParseDict(
        {
            "model_id": "m",
            "sources": [{"directory": str(BGE_M3.directory)}],
            "tasks": {"encode": declared},
        },
        Model(),
    )
    loaded = load(BGE_M3.directory, tmp_path, overrides=overrides_of(model))
    if problem is None:
        check_abilities(model, loaded)
        return
    with pytest.raises(LoadError, match=problem):
        check_abilities(model, loaded)
