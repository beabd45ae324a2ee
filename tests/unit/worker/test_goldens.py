"""Every supported family and head answers what its original implementation answers."""

import functools
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.worker.goldens import (
    ALL,
    COLBERT,
    HIDDEN,
    PAIRS,
    SPLADE,
    TEXTS,
    UNIT,
    Rows,
    assert_agrees,
)
from worker.checkpoint.checkpoint import Checkpoint
from worker.compiler.compile import compile_checkpoint
from worker.engine import TokenBatch
from worker.engines.onnxruntime_cpu import OnnxRuntimeCpu
from worker.hosting.loading import load
from worker.texts.late_interaction import open_tokenizer
from worker.verbs.sparse import merged_weights, nonzero


@pytest.fixture(scope="module")
def engine_of(tmp_path_factory):
    """Compile a golden checkpoint, once for all tests."""

    @functools.cache
    def build(golden):
        out = tmp_path_factory.mktemp(golden.name)
        compile_checkpoint(Checkpoint.open(golden.directory), out, hidden_states=True)
        return OnnxRuntimeCpu(out / "model.onnx", cores=1)

    return build


@pytest.mark.parametrize("golden", ALL, ids=str)
def test_all_outputs_agree_in_one_batch(engine_of, golden):
    rows = Rows.of(golden)
    answers = engine_of(golden).run(rows.batch())
    assert answers.keys() == golden.outputs.keys() | {"last_hidden_state"}
    for index, ids in enumerate(rows.ids):
        assert_agrees(golden, answers, index, index, len(ids))


@pytest.mark.parametrize("golden", ALL, ids=str)
def test_all_outputs_agree_one_by_one(engine_of, golden):
    rows = Rows.of(golden)
    for index, ids in enumerate(rows.ids):
        answers = engine_of(golden).run(rows.batch(index), list(golden.outputs))
        assert answers.keys() == golden.outputs.keys()
        assert_agrees(golden, answers, index, 0, len(ids))


WITH_HIDDEN = [golden for golden in TEXTS if "last_hidden_state" in golden.reference]


@pytest.mark.parametrize("golden", WITH_HIDDEN, ids=str)
def test_hidden_states_agree(engine_of, golden):
    expected = golden.reference["last_hidden_state"]
    rows = Rows.of(golden)
    hidden = engine_of(golden).run(rows.batch())["last_hidden_state"]
    for index, ids in enumerate(rows.ids):
        ours, theirs = hidden[index, : len(ids)], expected[index, : len(ids)]
        np.testing.assert_allclose(ours, theirs, atol=HIDDEN, rtol=0)


SPELLINGS = [
    (golden, spelling)
    for golden in ALL
    for spelling in ("v5_layout", "config.published_style.json")
    if (golden.directory / spelling).exists()
]


@pytest.mark.parametrize(("golden", "spelling"), SPELLINGS, ids=str)
def test_every_spelling_of_the_configuration_loads(tmp_path, golden, spelling):
    source = golden.directory / spelling
    directory = shutil.copytree(golden.directory, tmp_path / "checkpoint")
    if source.is_dir():
        shutil.copytree(source, directory, dirs_exist_ok=True)
    else:
        shutil.copy(source, directory / "config.json")
    (tmp_path / "compiled").mkdir()
    compile_checkpoint(Checkpoint.open(directory), tmp_path / "compiled")
    engine = OnnxRuntimeCpu(tmp_path / "compiled/model.onnx", cores=1)
    rows = Rows.of(golden)
    answers = engine.run(rows.batch())
    for index, ids in enumerate(rows.ids):
        assert_agrees(golden, answers, index, index, len(ids))


@pytest.mark.parametrize("golden", ALL, ids=str)
@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_batch_neighbours_never_change_a_row(engine_of, golden, data):
    rows = Rows.of(golden)
    indices = st.lists(st.integers(0, len(rows.ids) - 1), min_size=1, max_size=6)
    chosen = data.draw(indices)
    answers = engine_of(golden).run(rows.batch(*chosen))
    for row, index in enumerate(chosen):
        assert_agrees(golden, answers, index, row, len(rows.ids[index]))


@pytest.mark.parametrize("golden", TEXTS, ids=str)
def test_token_ids_of_texts_are_the_originals(golden):
    tokens = open_tokenizer(Checkpoint.open(golden.directory)).encode(golden.inputs["texts"])
    for text, ids in zip(tokens, Rows.of(golden).ids, strict=True):
        np.testing.assert_array_equal(text.ids, ids)


@pytest.mark.parametrize("golden", PAIRS, ids=str)
def test_token_ids_of_pairs_are_the_originals(golden):
    pairs = [tuple(pair) for pair in golden.inputs["pairs"]]
    tokens = open_tokenizer(Checkpoint.open(golden.directory)).encode_pairs(pairs)
    rows = Rows.of(golden)
    for index, pair in enumerate(tokens):
        np.testing.assert_array_equal(pair.ids, rows.ids[index])
        if rows.type_ids is not None:
            np.testing.assert_array_equal(pair.type_ids, rows.type_ids[index])


@pytest.mark.parametrize("is_query", [True, False])
def test_colbert_reads_queries_and_documents_as_the_original(engine_of, is_query):
    kind, texts = ("query", "queries") if is_query else ("doc", "documents")
    reference, inputs = COLBERT.reference, COLBERT.inputs
    tokenizer = open_tokenizer(Checkpoint.open(COLBERT.directory))
    tokens = tokenizer.encode(inputs[texts], is_query=is_query)
    masks = reference[f"{kind}_attention_mask"]
    for text, ids, mask in zip(tokens, inputs[f"{kind}_input_ids"], masks, strict=True):
        assert text.ids.tolist() == ids
        assert text.attended == mask.sum()
    batch = TokenBatch.pack(
        [text.ids for text in tokens], attended=[text.attended for text in tokens]
    )
    vectors = engine_of(COLBERT).run(batch)["multivector"]
    for row, text in enumerate(tokens):
        ours, theirs = vectors[row, : len(text.ids)], reference[f"{kind}_vectors"][row]
        if not is_query:
            assert text.kept.tolist() == [bool(kept) for kept in inputs["doc_keep_mask"][row]]
            ours = np.where(text.kept[:, None], ours, 0)
        np.testing.assert_allclose(ours, theirs[: len(text.ids)], atol=UNIT, rtol=0)


def test_colbert_queries_and_documents_score_as_the_original(engine_of):
    tokenizer = open_tokenizer(Checkpoint.open(COLBERT.directory))

    def vectors(texts, is_query):
        for text in tokenizer.encode(texts, is_query=is_query):
            batch = TokenBatch.pack([text.ids], attended=[text.attended])
            rows = engine_of(COLBERT).run(batch)["multivector"][0]
            yield rows if text.kept is None else rows[text.kept]

    queries = list(vectors(COLBERT.inputs["queries"], True))
    documents = list(vectors(COLBERT.inputs["documents"], False))
    scores = [[(q @ d.T).max(axis=1).sum() for d in documents] for q in queries]
    np.testing.assert_allclose(scores, COLBERT.reference["maxsim"], atol=HIDDEN, rtol=0)


def test_bge_m3_merges_token_weights_as_the_original(tmp_path):
    golden = next(each for each in TEXTS if each.name == "bge_m3")
    model = load(golden.directory, tmp_path, cores=1)
    assert model.weightless == set(golden.inputs["sparse_removed_ids"])
    texts = model.tokenizer.encode(golden.inputs["texts"])
    answers = model.engine.run(TokenBatch.pack([text.ids for text in texts]), ["token_weights"])
    for text, weights, expected in zip(
        texts, answers["token_weights"], golden.reference["sparse"], strict=True
    ):
        indices, merged = merged_weights(text.ids, weights, model.weightless)
        np.testing.assert_array_equal(indices, np.flatnonzero(expected))
        np.testing.assert_allclose(merged, expected[indices], atol=HIDDEN, rtol=0)


def test_splade_weights_are_those_above_zero(engine_of):
    golden = next(each for each in TEXTS if each.name == "splade_bert")
    sparse = engine_of(golden).run(Rows.of(golden).batch(2), ["sparse"])["sparse"][0]
    indices, weights = nonzero(sparse)
    expected = golden.reference["sparse"][2]
    np.testing.assert_allclose(weights, expected[indices], atol=SPLADE, rtol=0)
    assert expected.sum() == pytest.approx(weights.sum(), abs=1e-2)
    assert (np.diff(indices) > 0).all()
