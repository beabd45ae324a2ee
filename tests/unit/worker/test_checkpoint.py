"""What a checkpoint directory says, and how a broken one is refused."""

import json
import shutil

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.unit.worker.goldens import edit
from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.config import CheckpointError
from worker.checkpoint.heads import Pooling
from worker.checkpoint.weights import Weights


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bert_mean", (Pooling.MEAN, True, 48, False)),
        ("bert_cls", (Pooling.CLS, True, 64, True)),
        ("bert_xlmr_tokenizer", (Pooling.MEAN, False, 40, False)),
    ],
)
def test_modules_say_pooling_normalisation_and_length(golden, name, expected):
    opened = Checkpoint.open(golden(name).directory)
    said = (
        opened.heads[0].pooling,
        opened.heads[0].normalize,
        opened.max_length,
        opened.do_lower_case,
    )
    assert said == expected


def test_without_sentence_bert_config_the_smaller_limit_holds(checkpoint_copy):
    directory = checkpoint_copy("bert_mean")
    (directory / "sentence_bert_config.json").unlink()
    edit(directory / "config.json", max_position_embeddings=64)
    edit(directory / "tokenizer_config.json", model_max_length=60)
    assert Checkpoint.open(directory).max_length == 60
    edit(directory / "tokenizer_config.json", model_max_length=1e30)
    assert Checkpoint.open(directory).max_length == 64


def test_a_bare_transformers_directory_is_mean_pooled_and_not_normalised(checkpoint_copy):
    directory = checkpoint_copy("bert_cls")
    (directory / "modules.json").unlink()
    checkpoint = Checkpoint.open(directory)
    assert (checkpoint.heads[0].pooling, checkpoint.heads[0].normalize) == (Pooling.MEAN, False)


def test_pooling_may_be_named_instead_of_flagged(checkpoint_copy):
    directory = checkpoint_copy("bert_mean")
    (directory / "1_Pooling/config.json").write_text('{"pooling_mode": "lasttoken"}')
    assert Checkpoint.open(directory).heads[0].pooling is Pooling.LAST_TOKEN


def test_combined_pooling_modes_are_refused(checkpoint_copy):
    directory = checkpoint_copy("bert_mean")
    edit(directory / "1_Pooling/config.json", pooling_mode_cls_token=True)
    with pytest.raises(CheckpointError, match=r"1_Pooling/config\.json: pooling mode cls\+mean"):
        Checkpoint.open(directory)


def test_unsupported_modules_are_named(checkpoint_copy):
    directory = checkpoint_copy("bert_mean")
    modules = json.loads((directory / "modules.json").read_bytes())
    modules.append({"type": "sentence_transformers.models.LSTM", "path": "3_LSTM"})
    (directory / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(CheckpointError, match=r"modules\.json: has unsupported modules: LSTM"):
        Checkpoint.open(directory)


@pytest.mark.parametrize("file", ["config.json", "1_Pooling/config.json"])
def test_a_missing_file_is_named(checkpoint_copy, file):
    directory = checkpoint_copy("bert_mean")
    (directory / file).unlink()
    with pytest.raises(CheckpointError, match="is missing") as raised:
        Checkpoint.open(directory)
    assert raised.value.path == directory / file


@pytest.mark.parametrize(
    "content", ["", '{"hidden_size": ', "[]", "\x80", '{"a":' * 20_000], ids=range(5)
)
def test_a_malformed_config_is_named(checkpoint_copy, content):
    directory = checkpoint_copy("bert_mean")
    (directory / "config.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(CheckpointError, match=r"config\.json: is not"):
        Checkpoint.open(directory)


def test_a_config_entry_of_the_wrong_type_is_named(checkpoint_copy):
    directory = checkpoint_copy("bert_mean")
    edit(directory / "sentence_bert_config.json", max_seq_length="48")
    with pytest.raises(CheckpointError, match="max_seq_length is not a positive number: '48'"):
        Checkpoint.open(directory)


def test_missing_weights_are_named(checkpoint_copy):
    directory = checkpoint_copy("bert_mean")
    (directory / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors: is missing"):
        Checkpoint.open(directory).weights()


@pytest.mark.parametrize("kept_bytes", [0, 7, 300, 300_000])
def test_truncated_weights_are_named(checkpoint_copy, kept_bytes):
    directory = checkpoint_copy("bert_mean")
    file = directory / "model.safetensors"
    file.write_bytes(file.read_bytes()[:kept_bytes])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: is not a safetensors file"):
        Checkpoint.open(directory).weights()


def test_a_file_that_cannot_be_read_is_named(checkpoint_copy):
    directory = checkpoint_copy("bert_mean")
    (directory / "config.json").unlink()
    (directory / "config.json").symlink_to(directory / "config.json")
    with pytest.raises(CheckpointError, match=r"config\.json: cannot be read: Too many levels"):
        Checkpoint.open(directory)


@pytest.mark.parametrize("path", ["../1_Pooling", "/etc", "a/../../b"])
def test_a_path_that_leads_out_of_the_checkpoint_is_refused(checkpoint_copy, path):
    directory = checkpoint_copy("bert_mean")
    modules = json.loads((directory / "modules.json").read_bytes())
    modules[1]["path"] = path
    (directory / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(CheckpointError, match=f"has the path {path}, which leads out of it"):
        Checkpoint.open(directory)


@pytest.mark.parametrize("shard", ["../model.safetensors", "/etc/hostname", 7])
def test_a_shard_that_lies_elsewhere_is_refused(checkpoint_copy, shard):
    directory = checkpoint_copy("bert_mean")
    index = {"weight_map": {"w": "model.safetensors", "v": shard}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=f"names {shard}, which is no file beside it"):
        Checkpoint.open(directory).weight_files()


def test_a_tensor_that_is_not_finite_is_named(tmp_path):
    file = tmp_path / "model.safetensors"
    save_file({"w": np.array([1, np.nan], dtype=np.float32)}, file)
    with Weights([file]) as weights, pytest.raises(CheckpointError, match="tensor w holds NaN"):
        weights.read("w", (2,))


def test_a_tensor_that_is_absent_or_misshapen_is_named(tmp_path):
    file = tmp_path / "model.safetensors"
    save_file({"w": np.zeros(3, dtype=np.float32), "ids": np.zeros(3, dtype=np.int64)}, file)
    with Weights([file]) as weights:
        assert list(weights) == ["w"]
        with pytest.raises(CheckpointError, match="has no tensor other"):
            weights.read("other", (3,))
        with pytest.raises(CheckpointError, match="tensor ids is stored as I64, which is not supp"):
            weights.read("ids", (3,))
        with pytest.raises(CheckpointError, match=r"tensor w has shape \(3,\), not \(2,\)"):
            weights.read("w", (2,))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32])
def test_half_precision_weights_are_read_as_float32(tmp_path, dtype):
    file = tmp_path / "model.safetensors"
    stored = np.linspace(-2, 2, 7).astype(dtype)
    save_file({"w": stored}, file)
    with Weights([file]) as weights:
        read = weights.read("w", (7,))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, stored.astype(np.float32))


def test_shards_are_read_as_one(checkpoint_copy):
    directory = checkpoint_copy("bert_mean")
    whole = load_file(directory / "model.safetensors")
    (directory / "model.safetensors").unlink()
    names = sorted(whole)
    shards = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, held in shards.items():
        save_file({name: whole[name] for name in held}, directory / file)
    index = {"weight_map": {name: file for file, held in shards.items() for name in held}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    with Checkpoint.open(directory).weights() as weights:
        for name, tensor in whole.items():
            np.testing.assert_array_equal(weights.read(name, tensor.shape), tensor)


def test_the_transformer_may_lie_in_a_folder_of_its_own(checkpoint_copy):
    directory = checkpoint_copy("bert_mean")
    inner = directory / "0_Transformer"
    inner.mkdir()
    for file in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.move(directory / file, inner / file)
    modules = json.loads((directory / "modules.json").read_bytes())
    modules[0]["path"] = "0_Transformer"
    (directory / "modules.json").write_text(json.dumps(modules))
    assert Checkpoint.open(directory).weight_files() == [inner / "model.safetensors"]
