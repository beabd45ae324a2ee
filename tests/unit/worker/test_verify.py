"""`sie verify` holds every engine at hand to the golden checkpoints."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file, save_file

from cli.commands.verify import command
from tests.unit.worker.goldens import GOLDEN
from worker.checkpoint.config import CheckpointError
from worker.engines.catalog import ENGINES, INT8, at_hand, candidates
from worker.verify import Comparison, verify

FOLDERS = sorted(path.parent for path in GOLDEN.glob("*/inputs.json"))


@pytest.mark.parametrize("directory", FOLDERS, ids=lambda path: path.name)
def test_every_golden_checkpoint_agrees_on_every_engine(tmp_path, directory):
    result = verify(directory, directory / "reference.npz", at_hand(), tmp_path)
    assert result.agrees, [each for each in result.comparisons if not each.agrees]
    engines = {each.engine for each in result.comparisons}
    ran = {"tokenizer", *map(str, candidates(at_hand()))}
    assert engines == ran or "siglip" in str(directory)


def test_the_command_prints_a_table_and_says_what_was_not_compared():
    result = CliRunner().invoke(command, [str(GOLDEN / "bert_mean")])
    assert result.exit_code == 0, result.output
    assert "onnxruntime-cpu standard   dense" in result.output
    assert "not compared: pooled" in result.output


def test_a_corrupted_weight_fails(tmp_path):
    directory = shutil.copytree(GOLDEN / "bert_mean", tmp_path / "checkpoint")
    weights = load_file(directory / "model.safetensors")
    weights["encoder.layer.0.output.dense.bias"][0] += 0.05
    save_file(weights, directory / "model.safetensors")
    result = CliRunner().invoke(command, [str(directory), "--engine", "onnxruntime-cpu"])
    assert result.exit_code == 1
    assert "FAILED" in result.output


def test_a_reference_elsewhere_counts(tmp_path):
    reference = dict(np.load(GOLDEN / "bert_mean/reference.npz"))
    reference["embeddings"] = reference["embeddings"][::-1]
    np.savez(tmp_path / "other.npz", **reference)
    result = CliRunner().invoke(
        command, [str(GOLDEN / "bert_mean"), "--reference", str(tmp_path / "other.npz")]
    )
    assert result.exit_code == 1


def test_a_folder_without_inputs_is_a_clear_error(tmp_path):
    directory = shutil.copytree(GOLDEN / "bert_mean", tmp_path / "checkpoint")
    (directory / "inputs.json").unlink()
    result = CliRunner().invoke(command, [str(directory)])
    assert result.exit_code == 1
    assert "inputs.json: is missing" in result.output


@pytest.mark.parametrize(
    ("difference", "cosine", "exact", "agrees"),
    [
        (1e-6, 1.0, True, True),
        (1e-4, 1.0, True, False),
        (float("nan"), float("nan"), True, False),
        (1e-2, 0.9995, False, True),
        (1e-2, 0.99, False, False),
    ],
)
def test_exact_engines_are_held_to_differences_and_others_to_cosines(
    difference, cosine, exact, agrees
):
    allowed = 1e-5 if exact else 0.999
    each = Comparison("engine", "dense", "embeddings", difference, cosine, allowed, exact)
    assert each.agrees is agrees


def test_int8_is_verified_where_it_is_asked_for_and_keeps_its_budget(tmp_path):
    kind = ENGINES[INT8]
    if kind.missing():
        pytest.skip(kind.missing())
    directory = GOLDEN / "bert_mean"
    result = verify(directory, directory / "reference.npz", [kind], tmp_path)
    (dense,) = (each for each in result.comparisons if each.output == "dense")
    assert dense.agrees
    assert 0.98 <= dense.cosine < 0.99999


def test_models_without_int8_products_refuse_it(tmp_path):
    kind = ENGINES[INT8]
    with pytest.raises(CheckpointError, match="is not supported in int8"):
        verify(GOLDEN / "gliner", GOLDEN / "gliner/reference.npz", [kind], tmp_path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"no array", "is no .npz file of arrays"),
        (b"", "is no .npz file of arrays"),
        (None, "shape"),
    ],
)
def test_a_reference_that_is_of_something_else_is_a_clear_error(tmp_path, content, problem):
    reference = GOLDEN / "bert_cls/reference.npz"
    if content is not None:
        reference = tmp_path / "reference.npz"
        reference.write_bytes(content)
    directory = str(GOLDEN / "bert_mean")
    result = CliRunner().invoke(command, [directory, "--reference", str(reference)])
    assert (result.exit_code, result.exception.__class__) == (1, SystemExit), result.exception
    assert problem in result.output


def test_what_the_reference_lacks_is_not_compared_and_nothing_compared_is_no_agreement(tmp_path):
    np.savez(tmp_path / "reference.npz", something=np.zeros(3))
    reference = str(tmp_path / "reference.npz")
    result = CliRunner().invoke(command, [str(GOLDEN / "colbert"), "--reference", reference])
    assert (result.exit_code, result.exception.__class__) == (1, SystemExit), result.exception
    assert "not compared: something" in result.output


@pytest.mark.parametrize("pairs", [["one"], [["a"]], 7])
def test_pairs_that_are_none_are_a_clear_error(tmp_path, pairs):
    directory = shutil.copytree(GOLDEN / "bert_nli", tmp_path / "checkpoint")
    (directory / "inputs.json").write_text(json.dumps({"pairs": pairs}))
    result = CliRunner().invoke(command, [str(directory)])
    assert (result.exit_code, result.exception.__class__) == (1, SystemExit), result.exception
    assert "pairs is not a list of two texts each" in result.output
