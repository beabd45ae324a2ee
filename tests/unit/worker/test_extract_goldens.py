"""Extraction finds what the original implementations find."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from servicekit.errors import SieError
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1.inference_service_pb2 import ExtractResponse
from tests.unit.worker.extract_requests import MODEL, FakeDelivery, answer
from tests.unit.worker.goldens import HIDDEN, Golden
from worker.batching.packing import pack_texts
from worker.extraction.gliner_spans import spans
from worker.extraction.probabilities import sigmoid, softmax
from worker.extraction.settings import ExtractSettings
from worker.extraction.spans import Rules
from worker.extraction.token_classes import TokenClassReader, entities
from worker.hosting.loading import load
from worker.verbs.extract import ExtractJob

NER = Golden("bert_ner", {})
GLINER = Golden("gliner", {})
NLI = [Golden("bert_nli", {}), Golden("deberta_v3_nli", {})]
LABELS = ["person", "organization", "location", "date"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return {g.name: load(g.directory, cache, cores=1) for g in [NER, GLINER, *NLI]}


def fits(texts, model):
    """Indices of the texts that the model reads in one window."""
    return [i for i, t in enumerate(texts) if not model.tokenizer.encode([t])[0].truncated]


def found(result):
    return [(e.start, e.end, e.label) for e in result.entities]


def expected_entities(entities):
    key = "entity_group" if entities and "entity_group" in entities[0] else "label"
    return [(e["start"], e["end"], e[key]) for e in entities]


def assert_same(result, expected, text):
    assert found(result) == expected_entities(expected)
    assert [e.text for e in result.entities] == [text[e.start : e.end] for e in result.entities]
    scores = [e.score for e in result.entities]
    np.testing.assert_allclose(scores, [e["score"] for e in expected], atol=HIDDEN, rtol=0)


@pytest.mark.parametrize("strategy", ["simple", "first", "average", "max"])
async def test_token_classes_are_grouped_as_the_original(models, strategy):
    model, inputs = models["bert_ner"], NER.inputs
    simple = strategy == "simple"
    reference = (
        inputs["entities_simple"] if simple else inputs["entities_other_strategies"][strategy]
    )
    short = fits(inputs["texts"], model)
    assert len(short) > 8
    texts = [inputs["texts"][index] for index in short]
    options = {} if simple else {"options": {"aggregation": strategy}}
    results = await answer(model, texts, **options)
    for index, text, result in zip(short, texts, results, strict=True):
        assert_same(result, reference[index], text)


def test_the_first_window_of_a_long_text_is_grouped_as_the_original_reads_it(models):
    model, inputs = models["bert_ner"], NER.inputs
    settings = ExtractSettings(labels=())
    reader = TokenClassReader(model.tokenizer, model.max_length, model.labels, settings)
    long = [i for i, t in enumerate(inputs["texts"]) if model.tokenizer.encode([t])[0].truncated]
    assert long
    for index in long:
        window = reader._windows(model.tokenizer.whole.encode([inputs["texts"][index]])[0])[0]
        logits = model.engine.run(pack_texts([window.tokens]))["token_logits"][0]
        spans_found = entities(window, softmax(logits[1:-1]), model.labels)
        expected = inputs["entities_simple"][index]
        assert [s[:3] for s in spans_found] == expected_entities(expected)


async def test_a_subset_of_the_labels_and_a_threshold_leave_the_rest_out(models):
    text = NER.inputs["texts"][2]
    (everything,) = await answer(models["bert_ner"], [text])
    (some,) = await answer(models["bert_ner"], [text], labels=["PER"], threshold=0.5)
    kept = [e for e in everything.entities if e.label == "PER" and e.score >= 0.5]
    assert 0 < len(kept) < len(everything.entities)
    assert list(some.entities) == kept


async def test_a_label_that_the_model_does_not_know_is_refused(models):
    with pytest.raises(SieError, match=r"params.labels\[1\].*'animal'.*LOC, MISC, ORG, PER"):
        await answer(models["bert_ner"], ["a"], labels=["PER", "animal"])


def test_gliner_reads_words_and_labels_as_the_original(models):
    inputs, reference = GLINER.inputs, GLINER.reference
    rows = inputs["text_index_of_row"]
    read = models["gliner"].tokenizer.windows([inputs["texts"][i] for i in rows], LABELS)
    for row, windows in enumerate(read):
        if reference["num_words"][row] < len(inputs["words"][row]):
            continue  # The original drops what we read in further windows.
        (window,) = windows
        ids = inputs["input_ids"][row]
        assert window.tokens.ids.tolist() == ids
        assert np.maximum(window.tokens.marks, 0).tolist() == inputs["words_mask"][row][: len(ids)]
        assert window.offsets.tolist() == inputs["word_char_offsets"][row]


def test_gliner_scores_every_span_as_the_original(models):
    inputs, reference = GLINER.inputs, GLINER.reference
    model = models["gliner"]
    texts = [inputs["texts"][index] for index in inputs["text_index_of_row"]]
    first = [windows[0] for windows in model.tokenizer.windows(texts, LABELS)]
    logits = model.engine.run(pack_texts([window.tokens for window in first]))["span_logits"]
    for row, words in enumerate(reference["num_words"]):
        assert len(first[row].offsets) == words
        for width in range(min(12, words)):
            ours = logits[row, : words - width, width]
            theirs = reference["span_logits"][row, : words - width, width]
            np.testing.assert_allclose(ours, theirs, atol=HIDDEN, rtol=0)


def valid(logits, words):
    """The logits of spans that end within the words."""
    return [logits[: words - width, width] for width in range(words)]


def test_neighbours_never_change_the_scores_of_a_row(models):
    model = models["gliner"]
    (window,), (longer,) = model.tokenizer.windows(["one two three", "a b c d e f"], LABELS[:2])
    alone = model.engine.run(pack_texts([window.tokens]))["span_logits"][0]
    both = model.engine.run(pack_texts([window.tokens, longer.tokens]))["span_logits"][0]
    for ours, theirs in zip(valid(alone, 3), valid(both, 3), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=0)


def test_a_word_without_a_token_keeps_its_place(models):
    """As where the original's truncation takes a word's tokens away: a vector of zeros."""
    model = models["gliner"]
    ((window,),) = model.tokenizer.windows(["one two three"], LABELS[:2])
    marks = np.where(window.tokens.marks == 2, 0, window.tokens.marks)
    logits = model.engine.run(pack_texts([replace(window.tokens, marks=marks)]))["span_logits"]
    assert logits.shape[1] == 3


async def test_texts_with_different_numbers_of_labels_share_a_batch(models):
    model, text = models["gliner"], GLINER.inputs["texts"][2]
    (few,), (many,) = (
        model.tokenizer.windows([text], labels)[0] for labels in (LABELS[:1], LABELS)
    )
    together = model.engine.run(pack_texts([few.tokens, many.tokens]))["span_logits"]
    alone = model.engine.run(pack_texts([few.tokens]))["span_logits"]
    words = len(few.offsets)
    for width in range(12):
        ours, theirs = together[0, : words - width, width, :1], alone[0, : words - width, width]
        np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=0)


CASES = [
    ("0.3", {"threshold": 0.3}),
    ("0.5", {}),
    ("0.7", {"threshold": 0.7}),
    ("0.5_nested", {"options": {"flat_ner": False}}),
    ("0.5_multi_label_flat", {"options": {"multi_label": True}}),
]


@pytest.mark.parametrize(("name", "params"), CASES)
async def test_gliner_finds_the_entities_of_the_original(models, name, params):
    inputs = GLINER.inputs
    short = [i for i, text in enumerate(inputs["texts"]) if len(text) < 200]
    texts = [inputs["texts"][index] for index in short]
    results = await answer(models["gliner"], texts, labels=LABELS, **params)
    for index, text, result in zip(short, texts, results, strict=True):
        expected = inputs["entities"][name][index]
        assert not result.truncated
        assert sorted(found(result)) == sorted(expected_entities(expected))
        by_span = {(e["start"], e["end"], e["label"]): e["score"] for e in expected}
        for entity in result.entities:
            assert entity.text == text[entity.start : entity.end]
            key = (entity.start, entity.end, entity.label)
            assert entity.score == pytest.approx(by_span[key], abs=HIDDEN)


@pytest.mark.parametrize(("name", "params"), CASES)
def test_gliner_decodes_the_originals_own_scores_of_a_long_text(models, name, params):
    inputs, reference = GLINER.inputs, GLINER.reference
    row, index = 11, 12
    offsets = np.array(inputs["word_char_offsets"][row][: reference["num_words"][row]])
    scores = sigmoid(reference["span_logits"][row][: len(offsets)])
    options = params.get("options", {})
    rules = Rules(options.get("flat_ner", True), options.get("multi_label", False))
    ours = spans(offsets, scores, LABELS, params.get("threshold", 0.5), rules)
    expected = expected_entities(inputs["entities"][name][index])
    assert sorted(span[:3] for span in ours) == sorted(expected)


@pytest.mark.parametrize("golden", NLI, ids=str)
async def test_inference_models_judge_labels_by_entailment(models, golden):
    """The reference's pairs stand for a text and the hypothesis that a label becomes."""
    model, reference = models[golden.name], golden.reference["logits"]
    classes = list(model.labels)
    yes, no = classes.index("entailment"), classes.index("contradiction")
    for (text, hypothesis), logits in zip(golden.inputs["pairs"], reference, strict=True):
        if model.tokenizer.encode_pairs([(text, hypothesis)])[0].truncated:
            continue  # The original drops what we read in windows.
        options = {"hypothesis_template": "{}", "multi_label": True}
        (result,) = await answer(model, [text], labels=[hypothesis], options=options)
        expected = softmax(logits[[no, yes]])[1]
        assert result.classifications[0].score == pytest.approx(expected, abs=HIDDEN)


async def test_labels_share_the_whole_unless_several_may_hold(models):
    model, labels = models["bert_nli"], ["travel", "science", "sport"]
    text = "Water boils at one hundred degrees at sea level."
    (single,) = await answer(model, [text], labels=labels)
    scores = [c.score for c in single.classifications]
    assert sum(scores) == pytest.approx(1, abs=1e-5)
    assert scores == sorted(scores, reverse=True)
    assert {c.label for c in single.classifications} == set(labels)
    pairs = model.tokenizer.encode_pairs([(text, f"This example is {label}.") for label in labels])
    logits = model.engine.run(pack_texts(pairs))["logits"]
    expected = dict(zip(labels, softmax(logits[:, model.labels.index("entailment")]), strict=True))
    for each in single.classifications:
        assert each.score == pytest.approx(expected[each.label], abs=1e-5)


@pytest.mark.parametrize("name", ["bert_nli", "gliner"])
async def test_models_without_labels_of_their_own_need_the_requests(models, name):
    with pytest.raises(SieError, match=r"^INVALID_INPUT: params.labels: "):
        await answer(models[name], ["a"])


async def test_labels_that_leave_no_room_for_words_are_refused(models):
    labels = [f"a rather long description of a kind of thing, number {n}" for n in range(100)]
    with pytest.raises(SieError, match=r"params.labels: together the labels take \d+ of 1024"):
        await answer(models["gliner"], ["a"], labels=labels)


async def test_long_texts_are_read_to_their_end(models):
    text = NER.inputs["texts"][2]
    long = " ".join([text] * 20)
    for name, params in [("bert_ner", {}), ("gliner", {"labels": LABELS})]:
        (result,) = await answer(models[name], [long], **params)
        assert not result.truncated
        assert result.input_tokens > 15 * len(text.split())
        assert max(e.end for e in result.entities) > len(long) - len(text)
        assert [e.text for e in result.entities] == [long[e.start : e.end] for e in result.entities]
        for one, other in itertools.pairwise(result.entities):
            assert one.end <= other.start


async def test_texts_without_words_are_answered_without_a_run(models):
    for name, params in [("bert_ner", {}), ("gliner", {"labels": LABELS})]:
        results = await answer(models[name], ["", " \n", "Paris"], **params)
        assert [len(result.entities) for result in results[:2]] == [0, 0]
        assert [result.id for result in results] == ["item-7", "item-8", "item-9"]
        assert results[0].input_tokens == 0 < results[2].input_tokens


async def test_an_input_that_fails_is_its_items_error_alone(models):
    """The job is done once every input is accounted for, and the others keep their results."""
    text = NER.inputs["texts"][2]
    job = ExtractJob(FakeDelivery([" ".join([text] * 5), text]), MODEL, models["bert_ner"])
    inputs = list(job.prepare())
    outputs = models["bert_ner"].engine.run(pack_texts([tokens for _, tokens in inputs]))
    error = SieError(ErrorReason.ERROR_REASON_INFERENCE_ERROR, "failed")
    for row, (index, _) in enumerate(inputs):
        assert not job.done
        if index in {1, 2}:
            job.fail(index, error)
        else:
            job.put(index, outputs, row)
    assert job.done
    await job.finish()
    first, second = ExtractResponse.FromString(b"".join(job.delivery.fragments)).items
    assert (first.error.message, list(first.entities)) == ("failed", [])
    assert second.entities
    assert not second.HasField("error")


async def test_a_result_too_large_for_a_message_is_an_error(models):
    delivery = FakeDelivery([NER.inputs["texts"][2], "Warsaw"])
    delivery.max_fragment_bytes = 100
    job = ExtractJob(delivery, MODEL, models["bert_ner"])
    inputs = list(job.prepare())
    outputs = models["bert_ner"].engine.run(pack_texts([tokens for _, tokens in inputs]))
    for row, (index, _) in enumerate(inputs):
        job.put(index, outputs, row)
    await job.finish()
    large, small = ExtractResponse.FromString(b"".join(delivery.fragments)).items
    assert large.error.reason == ErrorReason.ERROR_REASON_RESULT_TOO_LARGE
    assert not small.HasField("error")
