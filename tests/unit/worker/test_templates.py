"""Prompts of the causal reranker, held to the published assembly."""

import json
from pathlib import Path

import pytest

from worker.checkpoint import Checkpoint, CheckpointError
from worker.templates import DEFAULT_INSTRUCTION, PairTemplate

DIRECTORY = Path(__file__).parents[2] / "golden/qwen3_reranker"
INPUTS = json.loads((DIRECTORY / "inputs.json").read_bytes())


@pytest.fixture(scope="module")
def checkpoint():
    return Checkpoint.open(DIRECTORY)


def test_prompts_agree_to_the_id(checkpoint):
    template = PairTemplate.open(checkpoint, max_length=INPUTS["max_length"])
    for (query, document), expected in zip(INPUTS["pairs"], INPUTS["input_ids"], strict=True):
        prompt = template.encode(query, [document], INPUTS["instruction"])[0]
        assert prompt.ids.tolist() == expected
        assert prompt.truncated == (len(expected) == INPUTS["max_length"])


def test_the_published_instruction_is_the_default():
    assert INPUTS["instruction"] == DEFAULT_INSTRUCTION


@pytest.mark.parametrize("words", [30, 30_000])
def test_only_the_middle_is_cut(checkpoint, words):
    template = PairTemplate.open(checkpoint, max_length=160)
    prompt = template.encode("query", ["word " * words])[0]
    assert prompt.truncated
    assert prompt.input_tokens == 160
    assert prompt.ids[: len(template.prefix)].tolist() == template.prefix.tolist()
    assert prompt.ids[-len(template.suffix) :].tolist() == template.suffix.tolist()


def test_braces_in_a_text_are_only_braces(checkpoint):
    template = PairTemplate.open(checkpoint)
    plain, braces = template.encode("q", ["{query}", "{0!r} {"])
    assert plain.input_tokens > 0 < braces.input_tokens


def test_a_limit_that_leaves_no_room_is_refused(checkpoint):
    with pytest.raises(CheckpointError, match="tokens too long"):
        PairTemplate.open(checkpoint, max_length=40)
