"""`sie verify` holds every engine at hand to the golden checkpoints."""

import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file, save_file

from cli.commands.verify import command
from tests.unit.worker.goldens import GOLDEN
from worker.config import CheckpointError
from worker.engines.catalog import at_hand, candidates
from worker.verify import Comparison, verify

SPANS = GOLDEN / "gliner"
FOLDERS = sorted({path.parent for path in GOLDEN.glob("*/inputs.json")} - {SPANS})


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


def test_spans_scored_against_labels_are_not_claimed_to_be_compared(tmp_path):
    with pytest.raises(CheckpointError, match="not compared yet"):
        verify(SPANS, SPANS / "reference.npz", at_hand(), tmp_path)
