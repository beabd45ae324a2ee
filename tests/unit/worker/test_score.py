"""A Score work item becomes the scores that the reference has, whichever way a model scores."""

import base64
import json
import shutil

import numpy as np
import pytest
from google.protobuf import json_format

from servicekit.errors import SieError
from sie.inference.v1.inference_service_pb2 import ScoreResponse
from sie.inference.v1.result_pb2 import ScoreKind
from sie.registry.v1.model_pb2 import Model
from sie.work.v1.work_item_pb2 import WorkItem
from tests.unit.worker.goldens import COLBERT, GOLDEN, HIDDEN, Golden
from worker.batching.packing import PreparedImage, pack_images, pack_texts
from worker.checkpoint.config import CheckpointError
from worker.hosting.loader import check_abilities
from worker.hosting.loading import load
from worker.load_errors import LoadError
from worker.texts.tokenizer import TokenizedText
from worker.verbs.scoring import score_job

PAIRS = [
    ("bert_cross_encoder", "cross_encoder_predict"),
    ("xlmr_reranker", "cross_encoder_predict"),
    ("modernbert_reranker", "cross_encoder_predict"),
    ("qwen3_reranker", "score"),
]
NAMES = [*(name for name, _ in PAIRS), "bge_m3", "clip", "colbert", "bert_nli", "splade_bert"]
MODEL = Model(model_id="m")


class FakeDelivery:
    """A delivery that remembers what it is answered with."""

    def __init__(self, first_item=0, **request):
        self.item = json_format.ParseDict({"first_item": first_item, "score": request}, WorkItem())
        self.fragments = None
        self.error = None

    async def reply(self, _verb, fragments):
        self.fragments = fragments

    async def fail(self, error):
        self.error = error


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return {name: load(GOLDEN / name, cache, cores=1) for name in NAMES}


def texts(*given):
    return [{"text": text} for text in given]


def run(loaded, job, inputs):
    """Compute inputs in a batch of each kind, and give the rows to the job in reverse."""
    kinds = [(PreparedImage, pack_images, loaded.vision), (TokenizedText, pack_texts, loaded)]
    for kind, pack, side in kinds:
        chosen = [(index, given) for index, given in inputs if isinstance(given, kind)]
        if chosen:
            batch = pack([given for _, given in chosen])
            outputs = side.engine.run(batch, sorted(job.outputs))
            for row, (index, _) in reversed(list(enumerate(chosen))):
                job.put(index, outputs, row)


async def answer(loaded, query, items, *, model=MODEL, **more):
    """Run a request through a job, and return its delivery and the response."""
    query = {"text": query} if isinstance(query, str) else query
    delivery = FakeDelivery(query=query, items=items, **more)
    job = score_job(delivery, model, loaded)
    run(loaded, job, job.prepare())
    assert job.done
    await job.finish()
    return delivery, ScoreResponse.FromString(b"".join(delivery.fragments or []))


@pytest.mark.parametrize(("name", "array"), PAIRS)
async def test_pairs_score_as_in_the_reference(models, name, array):
    golden = Golden(name, {})
    for (query, document), expected in zip(
        golden.inputs["pairs"], golden.reference[array], strict=True
    ):
        _, response = await answer(models[name], query, texts(document))
        assert response.kind == ScoreKind.SCORE_KIND_PROBABILITY
        assert response.scores[0].score == pytest.approx(expected, abs=HIDDEN)


@pytest.mark.parametrize("name", [name for name, _ in PAIRS])
async def test_raw_scores_are_the_logits_that_probabilities_are_made_of(models, name):
    golden = Golden(name, {})
    if name == "qwen3_reranker":
        yes, no = golden.reference["yes_no_logits"].T
        logits = yes - no
    else:
        logits = golden.reference["logits"][:, 0]
    for (query, document), expected in zip(golden.inputs["pairs"], logits, strict=True):
        _, response = await answer(models[name], query, texts(document), raw_scores=True)
        assert response.kind == ScoreKind.SCORE_KIND_LOGIT
        assert response.scores[0].score == pytest.approx(expected, abs=2 * HIDDEN)


async def test_one_query_with_many_items_scores_as_each_pair_alone(models):
    documents = [document for _, document in Golden("bert_cross_encoder", {}).inputs["pairs"]]
    loaded = models["bert_cross_encoder"]
    _, together = await answer(loaded, "water", texts(*documents), first_item=64)
    for number, (document, entry) in enumerate(zip(documents, together.scores, strict=True)):
        _, alone = await answer(loaded, "water", texts(document))
        assert entry.score == pytest.approx(alone.scores[0].score, abs=HIDDEN)
        assert entry.index == 64 + number
        assert entry.input_tokens == alone.scores[0].input_tokens > 0
    assert any(entry.truncated for entry in together.scores)


@pytest.mark.parametrize(
    "config",
    [
        {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}},
        {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"},
    ],
    ids=str,
)
async def test_a_checkpoint_without_an_activation_gives_logits(tmp_path, config):
    golden = Golden("bert_cross_encoder", {})
    loaded = load(with_config(golden, tmp_path / "model", config), tmp_path / "cache", cores=1)
    query, document = golden.inputs["pairs"][3]
    for raw in (False, True):
        _, response = await answer(loaded, query, texts(document), raw_scores=raw)
        assert response.kind == ScoreKind.SCORE_KIND_LOGIT
        logit = golden.reference["logits"][3, 0]
        assert response.scores[0].score == pytest.approx(logit, abs=HIDDEN)


def test_an_unknown_activation_is_no_score(tmp_path):
    config = {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Tanh"}}
    directory = with_config(Golden("bert_cross_encoder", {}), tmp_path / "model", config)
    with pytest.raises(CheckpointError, match="Tanh is not supported"):
        load(directory, tmp_path / "cache", cores=1)


def with_config(golden, directory, entries):
    """A copy of a golden checkpoint with further entries in its config.json."""
    shutil.copytree(golden.directory, directory, ignore=shutil.ignore_patterns("v5*", "*.npz"))
    path = directory / "config.json"
    config = json.loads(path.read_text()) | entries
    path.chmod(0o644)
    path.unlink()
    path.write_text(json.dumps(config))
    return directory


async def test_an_instruction_changes_what_a_causal_reranker_judges(models):
    loaded = models["qwen3_reranker"]
    _, plain = await answer(loaded, "water", texts("Water boils."))
    _, instructed = await answer(loaded, "water", texts("Water boils."), instruction="Be strict")
    assert plain.scores[0].score != instructed.scores[0].score


def test_an_instruction_is_refused_by_a_model_that_takes_none(models):
    delivery = FakeDelivery(query={"text": "a"}, items=texts("b"), instruction="Be strict")
    with pytest.raises(SieError, match="model 'm' takes no instruction"):
        score_job(delivery, MODEL, models["bert_cross_encoder"])


async def test_colbert_scores_by_maxsim(models):
    reference = COLBERT.reference["maxsim"]
    documents = COLBERT.inputs["documents"]
    for query, expected in zip(COLBERT.inputs["queries"], reference, strict=True):
        _, response = await answer(models["colbert"], query, texts(*documents))
        assert response.kind == ScoreKind.SCORE_KIND_MAXSIM
        scores = [entry.score for entry in response.scores]
        np.testing.assert_allclose(scores, expected, atol=HIDDEN, rtol=0)


@pytest.mark.parametrize("precomputed_query", [True, False])
async def test_precomputed_vectors_score_as_their_texts_do(models, precomputed_query):
    number = 2
    reference = COLBERT.reference
    items = [multivector(rows) for rows in reference["doc_vectors"]]
    query = COLBERT.inputs["queries"][number]
    if precomputed_query:
        query = multivector(reference["query_vectors"][number])
    _, response = await answer(models["colbert"], query, [*items, *texts("water")])
    scores = [entry.score for entry in response.scores]
    np.testing.assert_allclose(scores[:-1], reference["maxsim"][number], atol=HIDDEN, rtol=0)
    assert scores[-1] == pytest.approx(reference["maxsim"][number, 1], abs=HIDDEN)


def multivector(rows):
    kept = rows[np.abs(rows).any(axis=1)]
    values = [float(value) for value in kept.ravel()]
    return {
        "multivector": {
            "num_tokens": kept.shape[0],
            "token_dims": kept.shape[1],
            "values": values,
        }
    }


async def test_precomputed_vectors_must_be_finite(models):
    bad = {"multivector": {"num_tokens": 1, "token_dims": 16, "values": ["NaN"] * 16}}
    _, response = await answer(models["colbert"], "water", [bad, *texts("water")])
    assert response.scores[0].error.metadata["field"] == "items[0].multivector.values"
    assert response.scores[1].score > 0


def bge_m3(*outputs):
    tasks = {"encode": {output: {"dims": 48} for output in outputs}}
    return json_format.ParseDict({"model_id": "m", "tasks": tasks}, Model())


async def test_bge_m3_scores_by_maxsim_where_the_registry_declares_token_vectors(models):
    reference, given = Golden("bge_m3", {}).reference["colbert"], Golden("bge_m3", {}).inputs
    documents = [rows[np.abs(rows).any(axis=1)] for rows in reference]
    _, response = await answer(
        models["bge_m3"],
        given["texts"][2],
        texts(*given["texts"]),
        model=bge_m3("dense", "multivector"),
    )
    assert response.kind == ScoreKind.SCORE_KIND_MAXSIM
    expected = [(documents[2] @ each.T).max(axis=1).sum() for each in documents]
    scores = [entry.score for entry in response.scores]
    np.testing.assert_allclose(scores, expected, atol=HIDDEN, rtol=0)


async def test_bge_m3_scores_by_cosine_where_only_dense_is_declared(models):
    reference, given = Golden("bge_m3", {}).reference["dense"], Golden("bge_m3", {}).inputs
    _, response = await answer(
        models["bge_m3"], given["texts"][2], texts(*given["texts"]), model=bge_m3("dense")
    )
    assert response.kind == ScoreKind.SCORE_KIND_COSINE
    scores = [entry.score for entry in response.scores]
    np.testing.assert_allclose(scores, reference @ reference[2], atol=HIDDEN, rtol=0)


async def test_a_text_ranks_images_and_texts_by_cosine(models):
    golden = Golden("clip", {})
    given, reference = golden.inputs, golden.reference
    contents = [(golden.directory / name).read_bytes() for name in given["images"]]
    images = [{"images": [{"data": base64.b64encode(each).decode()}]} for each in contents]
    _, response = await answer(models["clip"], given["texts"][3], [*images, *texts("water")])
    query = reference["text_embeds_normalized"][3]
    expected = [
        *(reference["image_embeds_normalized"] @ query),
        reference["text_embeds_normalized"][1] @ query,
    ]
    assert response.kind == ScoreKind.SCORE_KIND_COSINE
    scores = [entry.score for entry in response.scores]
    np.testing.assert_allclose(scores, expected, atol=HIDDEN, rtol=0)


LONG = "How do I reset my password? " * 40


@pytest.mark.parametrize("name", ["bert_cross_encoder", "bge_m3"])
async def test_a_long_item_can_be_refused_while_others_score(models, name):
    items = texts("water", LONG)
    _, response = await answer(
        models[name], "water", items, truncate="TRUNCATE_NONE", first_item=32
    )
    assert not response.scores[0].HasField("error")
    assert response.scores[1].error.metadata["field"] == "items[33].text"


async def test_a_long_query_fails_every_item(models):
    delivery, _ = await answer(
        models["bge_m3"], LONG, texts("water", "fire"), truncate="TRUNCATE_NONE"
    )
    assert delivery.error.metadata["field"] == "query.text"


async def test_what_fails_in_the_engine_fails_its_own_items(models):
    delivery = FakeDelivery(query={"text": "a"}, items=texts("b", "c"))
    job = score_job(delivery, MODEL, models["colbert"])
    inputs = dict(job.prepare())
    job.fail(1, SieError(1, "no"))
    run(models["colbert"], job, [(index, inputs[index]) for index in (-1, 0)])
    await job.finish()
    response = ScoreResponse.FromString(b"".join(delivery.fragments))
    assert [entry.HasField("error") for entry in response.scores] == [False, True]


@pytest.mark.parametrize("name", ["bert_nli", "splade_bert"])
def test_a_model_that_classifies_or_gives_sparse_vectors_does_not_score(models, name):
    with pytest.raises(SieError, match="does not score pairs"):
        score_job(FakeDelivery(query={"text": "a"}, items=texts("b")), MODEL, models[name])


@pytest.mark.parametrize(
    ("name", "declared", "problem"),
    [
        ("bert_nli", {"tasks": {"score": {}}}, "the model scores, the checkpoint cannot"),
        ("bert_cross_encoder", {"inputs": ["INPUT_TYPE_IMAGE"]}, "reads images, the checkpoint"),
        ("splade_bert", {"tasks": {"extract": {}}}, "the model extracts, the checkpoint cannot"),
    ],
)
def test_a_registry_that_promises_more_than_the_checkpoint_fails_at_load(
    tmp_path, name, declared, problem
):
    model = json_format.ParseDict({"model_id": "m", **declared}, Model())
    loaded = load(GOLDEN / name, tmp_path)
    with pytest.raises(LoadError, match=problem):
        check_abilities(model, loaded)
