"""Token ids are those of the original implementation, and say when a text was cut."""

import functools
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as RustTokenizer

from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.config import CheckpointError
from worker.texts.tokenizer import Tokenizer, _first_words, _last_words

GOLDEN = Path(__file__).parents[2] / "golden"
NAMES = ["bert_mean", "bert_cls", "bert_xlmr_tokenizer", "roberta_mean"]


@functools.cache
def uncut(name: str) -> RustTokenizer:
    rust = RustTokenizer.from_file(str(GOLDEN / name / "tokenizer.json"))
    rust.no_truncation()
    rust.no_padding()
    return rust


def whole_length(name: str, text: str) -> int:
    """Count the tokens of an uncut text with the plain library."""
    return len(uncut(name).encode(text).ids)


@pytest.mark.parametrize("name", NAMES)
def test_truncated_says_whether_a_text_was_cut(golden, name):
    reference = golden(name)
    checkpoint = Checkpoint.open(reference.directory)
    tokens = Tokenizer.open(checkpoint).encode(reference.texts)
    expected = [whole_length(name, text) > checkpoint.max_length for text in reference.texts]
    assert [text.truncated for text in tokens] == expected
    assert any(expected)


def test_minilm_ids_equal_the_original_implementation(minilm_directory):
    texts = json.loads((GOLDEN / "minilm/texts.json").read_bytes())
    expected = json.loads((GOLDEN / "minilm/input_ids.json").read_bytes())
    tokens = Tokenizer.open(Checkpoint.open(minilm_directory)).encode(texts)
    assert [text.ids.tolist() for text in tokens] == expected
    assert sum(text.truncated for text in tokens) == 10


def test_a_text_of_exactly_the_maximum_length_is_not_truncated(minilm_directory):
    tokenizer = Tokenizer.open(Checkpoint.open(minilm_directory))
    fits, cut = tokenizer.encode(["water " * 254, "water " * 255])
    assert (fits.input_tokens, fits.truncated) == (256, False)
    assert (cut.input_tokens, cut.truncated) == (256, True)


LONG_TEXTS = {
    "words": st.lists(
        st.sampled_from(["water", "reset password", "水の", "🚀", "x" * 120, " " * 900])
    ),
    "repeats": st.integers(1, 30),
}


@functools.cache
def opened(name: str) -> Checkpoint:
    return Checkpoint.open(GOLDEN / name)


@functools.cache
def ours(name: str) -> Tokenizer:
    return Tokenizer.open(opened(name))


@functools.cache
def plain(name: str, direction: str) -> RustTokenizer:
    """Open the plain library, which tokenises the whole of a text before it cuts."""
    checkpoint = opened(name)
    rust = RustTokenizer.from_file(str(checkpoint.tokenizer_path))
    rust.enable_truncation(checkpoint.max_length, direction=direction)
    rust.no_padding()
    return rust


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("direction", ["right", "left"])
@settings(max_examples=15)
@given(**LONG_TEXTS)
def test_long_texts_give_the_ids_of_the_whole_text(name, direction, words, repeats):
    """Only a piece of a long text is tokenised; nobody may be able to tell."""
    checkpoint = opened(name)
    text = " ".join(words) * repeats
    (tokens,) = ours(name).encode([text], keep_end=direction == "left")
    assert tokens.ids.tolist() == plain(name, direction).encode(text).ids
    assert tokens.truncated == (whole_length(name, text) > checkpoint.max_length)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("direction", ["right", "left"])
def test_a_word_of_megabytes_gives_the_ids_of_the_whole_word(name, direction):
    text = "水の🚀xyz" * 20_000
    (tokens,) = ours(name).encode([text], keep_end=direction == "left")
    assert tokens.ids.tolist() == plain(name, direction).encode(text).ids


@pytest.mark.parametrize(
    ("pick", "kept"), [(_first_words, slice(100_000)), (_last_words, slice(-100_000, None))]
)
def test_a_word_that_is_longer_than_any_is_cut(pick, kept):
    text = "water " + "xy" * 500_000 + " water"
    assert pick(text, 100_000) == text[kept]
    assert len(pick("xy" * 500, 900)) == 0


@pytest.mark.parametrize("direction", ["right", "left"])
@settings(max_examples=15)
@given(**LONG_TEXTS, query=st.sampled_from(["", "water", "reset password " * 40]))
def test_long_pairs_give_the_ids_of_the_whole_pair(direction, words, repeats, query):
    document = " ".join(words) * repeats
    (tokens,) = ours("bert_mean").encode_pairs([(query, document)], keep_end=direction == "left")
    expected = plain("bert_mean", direction).encode(query, document)
    assert tokens.ids.tolist() == expected.ids
    assert tokens.type_ids.tolist() == expected.type_ids
    assert tokens.truncated == bool(expected.overflowing)


def test_one_tokenizer_serves_many_threads(golden):
    reference = golden("bert_mean")
    tokenizer = Tokenizer.open(Checkpoint.open(reference.directory))
    with ThreadPoolExecutor(8) as threads:
        for tokens in threads.map(tokenizer.encode, [reference.texts] * 64):
            for text, ids in zip(tokens, reference.ids, strict=True):
                np.testing.assert_array_equal(text.ids, ids)


def test_no_texts_give_no_tokens(golden):
    assert Tokenizer.open(Checkpoint.open(golden("bert_mean").directory)).encode([]) == []


def test_a_truncated_tokenizer_file_is_named(checkpoint_copy):
    directory = checkpoint_copy("bert_mean")
    file = directory / "tokenizer.json"
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: is not a tokenizer"):
        Tokenizer.open(Checkpoint.open(directory))


def test_a_missing_tokenizer_file_is_named(checkpoint_copy):
    directory = checkpoint_copy("bert_mean")
    (directory / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: is missing"):
        Tokenizer.open(Checkpoint.open(directory))
