"""A checkpoint directory becomes a model that answers as the original does, or a typed error."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.unit.worker.graphs import edit
from worker.checkpoint.config import CheckpointError
from worker.checkpoint.heads import Output
from worker.hosting.canary import CanaryError, check_canary
from worker.hosting.loading import load
from worker.hosting.overrides import Overrides

GOLDEN = Path(__file__).parents[2] / "golden"
MINILM = GOLDEN / "minilm"
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def texts():
    return json.loads((MINILM / "texts.json").read_bytes())


def test_minilm_agrees_with_the_original_one_by_one(minilm, encode, texts):
    # Some are enough: the others are alone in tests/e2e/test_encode.py.
    reference = np.load(MINILM / "reference.npy")[::5]
    for text, expected in zip(texts[::5], reference, strict=True):
        np.testing.assert_allclose(encode(minilm, [text])[0], expected, atol=TOLERANCE, rtol=0)


def test_minilm_agrees_with_the_original_in_mixed_batches(minilm, encode, texts):
    texts, reference = texts[::2], np.load(MINILM / "reference.npy")[::2]
    for start in range(0, len(texts), 16):
        dense = encode(minilm, texts[start : start + 16])
        np.testing.assert_allclose(dense, reference[start : start + 16], atol=TOLERANCE, rtol=0)


def test_a_loaded_model_says_its_sizes_and_how_long_it_took(minilm):
    assert (minilm.sizes, minilm.max_length) == ({"dense": 384}, 256)
    assert set(minilm.seconds) == {"read", "choose", "compile", "session", "warm_up"}
    assert all(seconds >= 0 for seconds in minilm.seconds.values())


@pytest.mark.parametrize(
    ("name", "sizes", "verbs"),
    [
        ("bge_m3", {"dense": 48, "token_weights": 941, "multivector": 48}, {"encode", "score"}),
        ("splade_bert", {"sparse": 760}, {"encode"}),
        ("bert_nli", {"logits": 3}, {"score", "extract"}),
        ("bert_ner", {"token_logits": 9}, {"extract"}),
    ],
)
def test_a_loaded_model_says_what_it_answers(tmp_path, name, sizes, verbs):
    model = load(GOLDEN / name, tmp_path, cores=1)
    assert (model.sizes, model.verbs) == (sizes, {*verbs, "tokenize"})
    assert list(model.sizes) == list(sizes)


def test_a_warm_start_neither_compiles_nor_imports_onnx(golden, tmp_path):
    directory = golden("bert_mean").directory
    load(directory, tmp_path)
    program = (
        "import sys; from pathlib import Path; from worker.hosting.loading import load;"
        "load(Path(sys.argv[1]), Path(sys.argv[2]));"
        "assert 'onnx' not in sys.modules and 'worker.compiler.compile' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(directory), str(tmp_path)], check=True)


def test_a_damaged_cache_is_rebuilt_on_load(golden, tmp_path):
    directory = golden("bert_mean").directory
    load(directory, tmp_path)
    for graph in tmp_path.glob("engines/*/model.onnx"):
        graph.write_bytes(graph.read_bytes()[:100])
    assert load(directory, tmp_path).sizes == {"dense": 48}


def test_weights_with_nan_are_refused(checkpoint_copy, tmp_path):
    directory = checkpoint_copy("bert_mean")
    tensors = load_file(directory / "model.safetensors")
    tensors["encoder.layer.1.output.dense.weight"][3, 5] = np.nan
    save_file(tensors, directory / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"layer\.1\.output\.dense\.weight holds NaN"):
        load(directory, tmp_path / "cache")


def test_a_model_that_answers_nan_is_refused(golden, tmp_path):
    class Broken:
        name = "broken"
        streams = 1

        def run(self, batch, outputs=()):
            return {"dense": np.full((len(batch.lengths), 4), np.nan, dtype=np.float32)}

        def close(self):
            pass

    tokenizer = load(golden("bert_mean").directory, tmp_path).tokenizer
    with pytest.raises(CanaryError, match="broken: dense holds NaN"):
        check_canary(tokenizer, Broken(), [Output.DENSE])


def test_weights_whose_sums_overflow_are_refused(checkpoint_copy, tmp_path):
    directory = checkpoint_copy("bert_mean")
    tensors = load_file(directory / "model.safetensors")
    tensors["embeddings.LayerNorm.weight"][:] = 3e38
    tensors["encoder.layer.0.attention.self.query.weight"][:] = 3e38
    save_file(tensors, directory / "model.safetensors")
    with pytest.raises(CanaryError, match="dense holds NaN"):
        load(directory, tmp_path / "cache")


@pytest.mark.parametrize(
    ("name", "labels", "problem"),
    [
        ("bert_ner", {"0": "O"}, "id2label names 1 labels, and the classifier has 9"),
        ("bert_nli", {"0": "a", "2": "b"}, "id2label names 2 labels, and the classifier has 3"),
        ("bert_nli", {"a": "b"}, "id2label does not number its labels"),
    ],
)
def test_labels_that_are_not_those_of_the_classifier_are_refused(
    checkpoint_copy, tmp_path, name, labels, problem
):
    directory = checkpoint_copy(name)
    edit(directory / "config.json", id2label=labels)
    with pytest.raises(CheckpointError, match=problem):
        load(directory, tmp_path / "cache")


def test_labels_that_no_file_names_are_numbered(checkpoint_copy, tmp_path):
    directory = checkpoint_copy("bert_nli")
    edit(directory / "config.json", id2label=...)
    assert load(directory, tmp_path / "cache").labels == ("LABEL_0", "LABEL_1", "LABEL_2")


@pytest.mark.parametrize(
    ("name", "length", "special"), [("bert_mean", 2, 2), ("bert_cross_encoder", 3, 3)]
)
def test_a_length_without_room_for_a_text_is_refused(
    checkpoint_copy, tmp_path, name, length, special
):
    directory = checkpoint_copy(name)
    with pytest.raises(CheckpointError, match=f"no room beside {special} special ones"):
        load(directory, tmp_path / "cache", overrides=Overrides(max_length=length))
    longer = Overrides(max_length=length + 1)
    assert load(directory, tmp_path / "cache", overrides=longer).max_length == length + 1
