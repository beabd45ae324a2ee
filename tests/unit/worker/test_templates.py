"""Prompts of the causal reranker, held to the published assembly."""

import json
from pathlib import Path

import pytest

from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.config import CheckpointError
from worker.texts.late_interaction import open_tokenizer
from worker.texts.templates import DEFAULT_INSTRUCTION, PromptTokenizer
from worker.texts.tokenizer import open_rust

DIRECTORY = Path(__file__).parents[2] / "golden/qwen3_reranker"
INPUTS = json.loads((DIRECTORY / "inputs.json").read_bytes())


@pytest.fixture(scope="module")
def checkpoint():
    return Checkpoint.open(DIRECTORY)


def tokenizer(checkpoint, max_length):
    rust = open_rust(checkpoint)
    return PromptTokenizer(rust, max_length=max_length, path=checkpoint.config.path)


def test_prompts_agree_to_the_id(checkpoint):
    pairs = [(query, document) for query, document in INPUTS["pairs"]]
    prompts = open_tokenizer(checkpoint).encode_pairs(pairs, instruction=INPUTS["instruction"])
    for prompt, expected in zip(prompts, INPUTS["input_ids"], strict=True):
        assert prompt.ids.tolist() == expected
        assert prompt.truncated == (len(expected) == INPUTS["max_length"])


def test_the_published_instruction_is_the_default():
    assert INPUTS["instruction"] == DEFAULT_INSTRUCTION


@pytest.mark.parametrize("words", [30, 30_000])
def test_only_the_middle_is_cut(checkpoint, words):
    template = tokenizer(checkpoint, 160)
    (prompt,) = template.encode_pairs([("query", "word " * words)])
    assert prompt.truncated
    assert prompt.input_tokens == 160
    assert prompt.ids[: len(template.prefix)].tolist() == template.prefix.tolist()
    assert prompt.ids[-len(template.suffix) :].tolist() == template.suffix.tolist()


def test_braces_in_a_text_are_only_braces(checkpoint):
    plain, braces = open_tokenizer(checkpoint).encode_pairs([("q", "x"), ("q", "{query} {0!r} {")])
    assert braces.input_tokens > plain.input_tokens


def test_a_limit_that_leaves_no_room_is_refused(checkpoint):
    with pytest.raises(CheckpointError, match=r"a prompt is .* tokens too long"):
        tokenizer(checkpoint, 40)
