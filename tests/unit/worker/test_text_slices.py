"""A text read in slices has the tokens that the library makes of it in one piece."""

import itertools
import random

import numpy as np
import pytest
from tokenizers import Tokenizer as RustTokenizer

from tests.unit.worker.goldens import Golden
from worker.texts.text_slices import Pieces, joined, slices
from worker.texts.whole_texts import WholeTexts

TEXTS = [text for text in Golden("bert_ner", {}).inputs["texts"] if text]
CHARACTERS = 70_000


@pytest.fixture(
    scope="module", params=["bert_ner", "bert_xlmr_tokenizer", "modernbert_mean", "gliner"]
)
def file(request):
    return str(Golden(request.param, {}).directory / "tokenizer.json")


def whole(file):
    return WholeTexts(RustTokenizer.from_file(file))


def in_one_piece(file, given, *, is_pretokenized=False):
    rust = RustTokenizer.from_file(file)
    rust.no_truncation()
    return rust.encode(given, is_pretokenized=is_pretokenized, add_special_tokens=False)


def long_text():
    chosen = random.Random(1)
    text = " ".join(chosen.choice(TEXTS) for _ in range(2000))
    assert len(text) > CHARACTERS
    return text[:CHARACTERS]


def assert_same(pieces, expected):
    assert pieces.ids.tolist() == expected.ids
    assert [tuple(pair) for pair in pieces.offsets.tolist()] == expected.offsets


def test_slices_are_joined_to_the_tokens_of_the_whole(file):
    text = long_text()
    parts = slices(text)
    assert len(parts) == 2
    assert_same(joined(whole(file).encode(parts)), in_one_piece(file, text))


def test_a_text_with_a_long_word_at_the_seam_has_the_tokens_of_the_whole(file):
    text, word = long_text(), "x" * 5000
    seam = text.index(slices(text)[1]) - len(word) // 4
    text = text[:seam] + word + text[seam:]
    [short, pieces] = whole(file).encode(["short", text])
    assert_same(pieces, in_one_piece(file, text))
    assert_same(short, in_one_piece(file, "short"))


@pytest.mark.parametrize("seed", range(2))
def test_long_texts_have_the_ids_of_the_whole(file, seed):
    chosen = random.Random(seed)
    parts = [*TEXTS, "x" * 3000, " " * 50, "[SEP]", "\n\n", "\u6771\u4eac" * 40, "\U0001f600"]
    pieces = [chosen.choice(parts) + chosen.choice(["", " "]) for _ in range(3000)]
    texts = ["short", "".join(pieces)[:CHARACTERS], ""]
    expected = [in_one_piece(file, text).ids for text in texts]
    assert [ids.tolist() for ids in whole(file).ids(texts)] == expected


def test_a_long_text_begins_words_where_its_parts_do(file):
    text = long_text()
    tokenizer = whole(file)
    [pieces] = tokenizer.encode([text])
    for part in (text[:30_000], text[40_000:]):
        [alone] = tokenizer.encode([part])
        place = text.index(part)
        inner = alone.part(20, -20)
        begins = np.isin(pieces.offsets[:, 0], inner.offsets[:, 0] + place)
        assert pieces.begins_word[begins].tolist() == inner.begins_word.tolist()


def test_many_words_have_the_tokens_of_the_whole(file):
    words = long_text().split() * 2
    # The last of a run, and of all, may be without tokens.
    words[(1 << 13) - 1] = words[-1] = ""
    expected = in_one_piece(file, words, is_pretokenized=True)
    [none, pieces] = whole(file).encode_words([[], words])
    assert pieces.ids.tolist() == expected.ids
    of_word = np.repeat(np.arange(len(words)), np.diff(pieces.starts))
    assert of_word.tolist() == expected.word_ids
    assert none.starts.tolist() == [0]


@pytest.mark.parametrize("characters", [0, 1, CHARACTERS, 300_000])
def test_slices_overlap_and_cover_a_text(characters):
    text = "".join(map(chr, range(0x10000, 0x10000 + characters)))
    parts = slices(text)
    assert "".join(sorted(set(itertools.chain(*parts)))) == text
    for one, other in itertools.pairwise(parts):
        assert text.index(other) < text.index(one) + len(one)


def test_slices_whose_tokens_differ_are_not_joined():
    parts = [one_token_a_character(part) for part in slices("a" * CHARACTERS)]
    assert len(joined(parts).ids) == CHARACTERS
    parts[1].ids[1030] += 1
    assert joined(parts) is None


def one_token_a_character(text):
    starts = np.arange(len(text))
    ids = np.array([ord(character) for character in text], dtype=np.int32)
    return Pieces(ids, np.stack([starts, starts + 1], axis=1), np.ones(len(text), dtype=np.bool_))
