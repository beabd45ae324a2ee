"""Entries that config.json may leave out, and names that `transformers` gave to published parts."""

import onnx
import pytest
from safetensors.numpy import load_file, save_file

from tests.unit.worker.graphs import close, compiled, edit, golden_ids, reference, run
from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.config import CheckpointError
from worker.compiler.compile import compile_checkpoint

HIDDEN = "last_hidden_state"


def hidden(directory, name, out):
    engine = compiled(directory, out, hidden_states=True)
    return run(engine, golden_ids(name)[:3], HIDDEN)


@pytest.mark.parametrize(
    ("name", "entry", "default"),
    [
        ("bert_mean", "type_vocab_size", 2),
        ("nomic_bert", "type_vocab_size", 2),
    ],
)
def test_an_entry_left_out_has_the_default_of_its_family(
    tmp_path, checkpoint_copy, name, entry, default
):
    directory = checkpoint_copy(name)
    edit(directory / "config.json", **{entry: default})
    stated = hidden(directory, name, tmp_path / "stated")
    edit(directory / "config.json", **{entry: ...})
    close(hidden(directory, name, tmp_path / "silent"), stated, 0)


@pytest.mark.parametrize(("entries", "windowed"), [({"sliding_window": None}, 0), ({}, 1)])
def test_texts_beyond_4096_tokens_have_a_window_unless_it_is_null(
    tmp_path, checkpoint_copy, entries, windowed
):
    directory = checkpoint_copy("e5_mistral")
    edit(directory / "sentence_bert_config.json", max_seq_length=5000)
    edit(directory / "config.json", **({"sliding_window": ...} | entries))
    compile_checkpoint(Checkpoint.open(directory), tmp_path)
    nodes = onnx.load(tmp_path / "model.onnx", load_external_data=False).graph.node
    assert [node.op_type for node in nodes].count("GreaterOrEqual") == windowed


def test_layers_of_qwen_have_a_window_from_the_28th_on_where_nothing_is_said(
    tmp_path, checkpoint_copy
):
    name = "qwen2_embedding"
    directory = checkpoint_copy(name)
    silent = {"max_window_layers": ..., "layer_types": ...}
    edit(directory / "config.json", use_sliding_window=True, sliding_window=3, **silent)
    dense = run(compiled(directory, tmp_path / "compiled"), golden_ids(name), "dense")
    close(dense, reference(name)["embeddings"], 1e-5)


def test_a_cross_encoder_without_the_entry_still_reads_which_text_a_token_is_of(checkpoint_copy):
    directory = checkpoint_copy("bert_cross_encoder")
    edit(directory / "config.json", type_vocab_size=...)
    assert Checkpoint.open(directory).reads_type_ids


@pytest.mark.parametrize(("name", "prefix"), [("gte_new", "gte"), ("nomic_bert", "nomic_bert")])
def test_an_encoder_saved_beside_a_head_is_found_by_either_name(
    tmp_path, checkpoint_copy, name, prefix
):
    directory = checkpoint_copy(name)
    tensors = load_file(directory / "model.safetensors")
    known = {key.removeprefix("new.").removeprefix("bert."): each for key, each in tensors.items()}
    moved = {f"{prefix}.{key}": each for key, each in known.items()}
    expected = hidden(directory, name, tmp_path / "plain")
    save_file(moved, directory / "model.safetensors")
    close(hidden(directory, name, tmp_path / "below"), expected, 0)


def test_scaled_positions_of_nomic_are_refused(tmp_path, checkpoint_copy):
    directory = checkpoint_copy("nomic_bert")
    edit(directory / "config.json", rope_parameters={"rope_type": "linear", "factor": 2.0})
    with pytest.raises(CheckpointError, match="rope_type as here is not supported"):
        compiled(directory, tmp_path / "compiled")
