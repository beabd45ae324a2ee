"""Labels are judged over all of a text, and a text that fits is judged as ever."""

import asyncio
import functools
import re
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servicekit.errors import code_of
from sie.inference.v1.inference_service_pb2 import ExtractResponse
from tests.unit.worker.extract_requests import MODEL, FakeDelivery, answer
from tests.unit.worker.goldens import GOLDEN
from worker.batching.packing import pack_texts
from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.heads import Output
from worker.extraction.probabilities import sigmoid, softmax
from worker.extraction.windows import windows
from worker.extraction.zero_shot import MAX_TOKENS
from worker.hosting.loading import load
from worker.texts.tokenizer import Tokenizer
from worker.verbs.extract import ExtractJob

NAMES = ["bert_nli", "deberta_v3_nli"]
# Of every way to put special tokens around a pair.
PAIRED = [*NAMES, "roberta_mean", "xlmr_reranker", "modernbert_reranker", "mpnet"]
LABELS = ["travel", "science", "sport"]
TEMPLATE = "This example is {}."
DECISIVE = "Water boils at sea level"
FILLER = "Honey bees dance to tell other bees where the flowers are. "

texts = st.text(st.characters(codec="utf-8"), max_size=30) | st.lists(
    st.sampled_from([*"aé東🚀 \n<>", "water", "[SEP]", "</s>", "boils"]), max_size=20
).map(" ".join)


@functools.cache
def tokenizer_of(name):
    return Tokenizer.open(Checkpoint.open(GOLDEN / name))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return {name: load(GOLDEN / name, cache, cores=1) for name in NAMES}


@pytest.mark.parametrize("name", PAIRED)
@settings(deadline=None)
@given(one=texts, other=texts)
def test_a_pair_of_ids_is_framed_as_the_tokenizer_frames_a_pair_of_texts(name, one, other):
    tokenizer = tokenizer_of(name)
    (expected,) = tokenizer.encode_pairs([(one, other)])
    if not expected.truncated:
        framed = tokenizer.frame_pair(*tokenizer.whole.ids([one, other]))
        assert framed.ids.tolist() == expected.ids.tolist()
        assert framed.type_ids.tolist() == expected.type_ids.tolist()


def logits_of(model, text, labels):
    pairs = model.tokenizer.encode_pairs([(text, TEMPLATE.replace("{}", each)) for each in labels])
    assert not any(pair.truncated for pair in pairs)
    return model.engine.run(pack_texts(pairs))["logits"]


def expected_scores(model, logits, *, multi_label):
    """What one window's logits (labels, classes) mean, by label."""
    yes, no = model.labels.index("entailment"), model.labels.index("contradiction")
    if multi_label:
        return sigmoid(logits[:, yes] - logits[:, no])
    return softmax(logits[:, yes])


def scores_of(result, labels=LABELS):
    by_label = {each.label: each.score for each in result.classifications}
    return [by_label[label] for label in labels]


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["", "Water boils.", FILLER])
async def test_a_text_that_fits_is_one_input_for_each_label(models, name, text, multi_label):
    model, options = models[name], {"multi_label": multi_label}
    (result,) = await answer(model, [text], labels=LABELS, options=options)
    logits = logits_of(model, text, LABELS)
    expected = expected_scores(model, logits, multi_label=multi_label)
    np.testing.assert_allclose(scores_of(result), expected, atol=1e-6, rtol=0)
    pairs = [(text, TEMPLATE.replace("{}", label)) for label in LABELS]
    tokens = [pair.input_tokens for pair in model.tokenizer.encode_pairs(pairs)]
    assert (result.input_tokens, result.truncated) == (sum(tokens), False)


def window_logits(model, document, labels):
    """Read a document beside labels, to logits (windows, labels, classes)."""
    whole = model.tokenizer.whole
    sentences = [TEMPLATE.replace("{}", label) for label in labels]
    text, *hypotheses = whole.ids([document, *sentences])
    room = model.max_length - whole.pair_frame.tokens - max(map(len, hypotheses))
    for part in windows(np.ones(len(text), dtype=np.int64), room):
        ids = text[part.start : part.stop]
        pairs = [model.tokenizer.frame_pair(ids, hypothesis) for hypothesis in hypotheses]
        yield model.engine.run(pack_texts(pairs))["logits"]


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("name", NAMES)
async def test_a_label_has_what_its_best_window_gives(models, name, multi_label):
    model, options = models[name], {"multi_label": multi_label}
    document = " ".join(f"water {word} boils {FILLER}" for word in ("at", "sea", "level", "bees"))
    (result,) = await answer(model, [document], labels=LABELS, options=options)
    logits = np.stack(list(window_logits(model, document, LABELS)))
    assert len(logits) > 1
    yes, no = model.labels.index("entailment"), model.labels.index("contradiction")
    best = (logits[..., yes] - (logits[..., no] if multi_label else 0)).max(axis=0)
    expected = sigmoid(best) if multi_label else softmax(best)
    np.testing.assert_allclose(scores_of(result), expected, atol=1e-5, rtol=0)
    assert not result.truncated


class Believer:
    """A model that believes what stands in one input, with the tokenizer of a golden one."""

    sizes: ClassVar = {Output.LOGITS: 3}
    labels = ("contradiction", "entailment", "neutral")

    def __init__(self, name, label):
        self.tokenizer = tokenizer_of(name)
        self.max_length = Checkpoint.open(GOLDEN / name).max_length
        self._wanted = [ids.tolist() for ids in self.tokenizer.whole.ids([DECISIVE, label])]

    def logits(self, tokens):
        ids = tokens.ids.tolist()
        held = all(contains(ids, part) for part in self._wanted)
        return np.array([-4, 4, 0] if held else [4, -4, 0], dtype=np.float32)


def contains(ids, part):
    return any(ids[at : at + len(part)] == part for at in range(len(ids)))


async def judged(model, texts, **params):
    """Run a request through a job, and return its delivery and how many inputs it had."""
    job = ExtractJob(FakeDelivery(texts, **params), MODEL, model)
    inputs = list(job.prepare())
    for index, tokens in inputs:
        assert len(tokens.ids) <= model.max_length
        job.put(index, {Output.LOGITS: model.logits(tokens)[None]}, 0)
    assert job.done
    await job.finish()
    return job.delivery, len(inputs)


def results_of(delivery):
    return ExtractResponse.FromString(b"".join(delivery.fragments)).items


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(before=st.integers(0, 40), behind=st.integers(0, 40), multi_label=st.booleans())
def test_a_decisive_sentence_is_found_wherever_it_stands(name, before, behind, multi_label):
    model = Believer(name, "science")
    document = f"{FILLER * before}{DECISIVE}. {FILLER * behind}"
    options = {"multi_label": multi_label}
    delivery, _ = asyncio.run(judged(model, [document], labels=LABELS, options=options))
    (result,) = results_of(delivery)
    expected = sigmoid(np.array([-8, 8, -8])) if multi_label else softmax(np.array([-4, 4, -4]))
    np.testing.assert_allclose(scores_of(result), expected, atol=1e-6)
    assert not result.truncated


@pytest.mark.parametrize("name", NAMES)
async def test_what_is_too_much_to_read_is_its_items_error_alone(name):
    model = Believer(name, "science")
    labels = ["science", *(f"label {number}" for number in range(255))]
    delivery, _ = await judged(model, [DECISIVE, FILLER * 500], labels=labels)
    short, long = results_of(delivery)
    assert short.classifications[0].label == "science"
    assert code_of(long.error.reason) == "INVALID_INPUT"
    assert re.match(
        rf"items\[8\].text: its \d+ windows.*256 labels.*{MAX_TOKENS}", long.error.message
    )
    delivery, inputs = await judged(model, [FILLER * 500], labels=labels)
    assert (inputs, delivery.fragments) == (0, None)
    delivery, _ = await judged(model, ["a" * 32_769], labels=labels)
    assert "longer than the 32768 characters" in str(delivery.error)
    few, _ = await judged(model, [FILLER * 500], labels=labels[:2])
    assert not results_of(few)[0].HasField("error")


@pytest.mark.parametrize("name", NAMES)
async def test_a_label_that_leaves_a_long_text_no_room_is_refused(name):
    labels = ["science", "a rather long description of a kind of thing " * 5]
    delivery, inputs = await judged(Believer(name, "science"), ["a b " * 200], labels=labels)
    assert re.search(r"items\[7\].text: .*longest label.* tokens that", str(delivery.error))
    assert (inputs, delivery.fragments) == (0, None)
