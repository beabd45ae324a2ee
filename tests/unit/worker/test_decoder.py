"""Decoders read as encoders: rerankers, windows, and configurations spelled in several ways."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.unit.worker.graphs import GOLDEN, close, compiled, edit, golden_ids, reference, run
from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.config import CheckpointError

RERANKER = "qwen3_reranker"


@pytest.fixture
def copied(checkpoint_copy):
    def copy(name, **values):
        directory = checkpoint_copy(name)
        edit(directory / "config.json", **values)
        return directory

    return copy


@pytest.mark.parametrize("layout", [".", "v5_layout"])
def test_logits_of_no_and_yes_agree(tmp_path, checkpoint_copy, layout):
    directory = checkpoint_copy(RERANKER)
    shutil.copytree(GOLDEN / RERANKER / layout, directory, dirs_exist_ok=True)
    engine, ids = compiled(directory, tmp_path / "compiled"), golden_ids(RERANKER)
    logits = run(engine, ids, "logits")
    close(logits, reference(RERANKER)["yes_no_logits"][:, ::-1])
    relevance = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    close(relevance, reference(RERANKER)["score"], 1e-5)
    for row, expected in zip(ids, logits, strict=True):
        close(run(engine, [row], "logits")[0], expected)


def test_a_head_of_its_own_goes_before_the_token_vectors(tmp_path, copied):
    directory = copied(RERANKER, tie_word_embeddings=False)
    tensors = load_file(directory / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"] * 2
    save_file(tensors, directory / "model.safetensors")
    logits = run(compiled(directory, tmp_path / "compiled"), golden_ids(RERANKER), "logits")
    close(logits, 2 * reference(RERANKER)["yes_no_logits"][:, ::-1], 2e-4)


def test_a_reranker_saved_with_one_label_scores_by_its_last_token(tmp_path, copied):
    directory = copied(RERANKER, architectures=["Qwen3ForSequenceClassification"])
    tensors = load_file(directory / "model.safetensors")
    vocabulary = json.loads((directory / "tokenizer.json").read_bytes())["model"]["vocab"]
    words = tensors["model.embed_tokens.weight"].astype(np.float32)
    tensors["score.weight"] = words[[vocabulary["yes"]]] - words[[vocabulary["no"]]]
    save_file(tensors, directory / "model.safetensors")
    logits = run(compiled(directory, tmp_path / "compiled"), golden_ids(RERANKER), "logits")
    yes, no = reference(RERANKER)["yes_no_logits"].T
    close(logits[:, 0], yes - no)


def test_a_vocabulary_without_the_answers_is_named(tmp_path, copied):
    directory = copied(RERANKER)
    shutil.copy(GOLDEN / "bert_mean/tokenizer.json", directory)
    with pytest.raises(CheckpointError, match="has no token 'no'"):
        compiled(directory, tmp_path / "compiled")


@pytest.mark.parametrize("width", [2, 5, 9])
def test_a_window_hides_what_is_too_far(tmp_path, copied, width):
    engine = compiled(
        copied("e5_mistral", sliding_window=width), tmp_path / "compiled", hidden_states=True
    )
    rows = np.random.default_rng(0).integers(3, 700, (1, 40)).astype(np.int32).repeat(2, axis=0)
    place, reach = 10, 2 * (width - 1)  # two layers
    rows[1, place] += 1
    first, second = run(engine, list(rows), "last_hidden_state")
    changed = np.abs(first - second).max(axis=1) > 1e-6
    assert np.flatnonzero(changed).min() == place
    assert np.flatnonzero(changed).max() == place + reach


def test_a_window_wider_than_the_input_changes_nothing(tmp_path, copied):
    wide = copied("e5_mistral", sliding_window=79)
    dense = run(compiled(wide, tmp_path / "compiled"), golden_ids("e5_mistral")[:4], "dense")
    close(dense, reference("e5_mistral")["embeddings"][:4], 1e-5)


@pytest.mark.parametrize(
    ("values", "narrow"),
    [
        ({"use_sliding_window": True, "max_window_layers": 0, "layer_types": None}, True),
        ({"use_sliding_window": True, "layer_types": ["full_attention"] * 2}, False),
        ({"use_sliding_window": False, "max_window_layers": 0, "layer_types": None}, False),
    ],
)
def test_qwen_says_which_layers_have_a_window(tmp_path, copied, values, narrow):
    directory = copied("qwen2_embedding", sliding_window=3, **values)
    dense = run(compiled(directory, tmp_path / "compiled"), golden_ids("qwen2_embedding"), "dense")
    same = np.abs(dense - reference("qwen2_embedding")["embeddings"]).max() < 1e-5
    assert same != narrow


def test_attention_may_be_bidirectional_and_padding_still_not_matter(tmp_path, copied):
    directory, ids = copied("qwen2_embedding", is_causal=False), golden_ids("qwen2_embedding")[:5]
    engine = compiled(directory, tmp_path / "compiled")
    together = run(engine, ids, "dense")
    assert np.abs(together - reference("qwen2_embedding")["embeddings"][:5]).max() > 1e-3
    for row, expected in zip(ids, together, strict=True):
        close(run(engine, [row], "dense")[0], expected, 1e-5)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"hidden_act": "mish"}, "hidden_act mish is not supported"),
        ({"rope_scaling": {"type": "longrope", "factor": 4}}, "rope_type longrope is not supp"),
        ({"rope_parameters": {"rope_type": "linear"}}, "the factor of a scaled rope is missing"),
        ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor"),
        ({"num_key_value_heads": 3}, "not a multiple of num_key_value_heads"),
        (
            {"use_sliding_window": True, "sliding_window": 4, "layer_types": ["full_attention"]},
            "layer_types does not name 2 layers",
        ),
        ({"vocab_size": 600}, r"has shape \(608, 48\), not \(600, 48\)"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(tmp_path, copied, values, problem):
    directory = copied("qwen3_embedding", **values)
    with pytest.raises(CheckpointError, match=problem):
        compiled(directory, tmp_path / "compiled")


def test_the_embedding_model_is_no_reranker_though_it_says_causal(copied):
    assert Checkpoint.open(copied("qwen3_embedding")).outputs == ("dense",)
    assert Checkpoint.open(copied(RERANKER)).outputs == ("logits",)
