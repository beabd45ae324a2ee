"""A graph with the inputs of `transformers` serves as it is, pooled here."""

import shutil

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.unit.worker.goldens import GOLDEN, UNIT, Golden, Rows
from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.heads import Pooling
from worker.compiler.compile import compile_checkpoint
from worker.engine import EngineError
from worker.engines.catalog import PUBLISHED
from worker.engines.published_onnx import PublishedOnnx, pooled
from worker.hosting.loading import load


@pytest.fixture
def published(tmp_path):
    """The compiled graph of a checkpoint behind inputs as `transformers` exports them."""

    def publish(name):
        checkpoint = Checkpoint.open(GOLDEN / name)
        compile_checkpoint(checkpoint, tmp_path, hidden_states=True)
        model = onnx.load(tmp_path / "model.onnx", load_external_data=False)
        graph = model.graph
        graph.node.insert(0, helper.make_node("Cast", ["input_ids"], ["ids"], to=TensorProto.INT32))
        mask = helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.INT32)
        graph.node.insert(1, mask)
        axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
        graph.initializer.append(axes)
        total = helper.make_node("ReduceSum", ["mask", "axes"], ["lengths"], keepdims=0)
        graph.node.insert(2, total)
        for node in graph.node[3:]:
            node.input[:] = ["ids" if each == "input_ids" else each for each in node.input]
        del graph.input[:]
        for each in ("input_ids", "attention_mask"):
            shape = ["batch", "sequence"]
            graph.input.append(helper.make_tensor_value_info(each, TensorProto.INT64, shape))
        hidden = [each for each in graph.output if each.name == "last_hidden_state"]
        del graph.output[:]
        graph.output.extend(hidden)
        onnx.save(model, tmp_path / "published.onnx")
        return PublishedOnnx(tmp_path / "published.onnx", checkpoint, cores=1)

    return publish


@pytest.mark.parametrize("name", ["bert_mean", "bert_cls"])
def test_a_graph_of_hidden_states_answers_as_the_original(published, name):
    golden = Golden(name, {})
    answers = published(name).run(Rows.of(golden).batch())
    expected = golden.reference["embeddings"]
    np.testing.assert_allclose(answers["dense"], expected, atol=UNIT, rtol=0)


def test_a_graph_without_a_fitting_output_is_a_clear_error(published, tmp_path):
    published("bert_mean")
    checkpoint = Checkpoint.open(GOLDEN / "bert_nli")
    with pytest.raises(EngineError, match="has outputs last_hidden_state, none of which"):
        PublishedOnnx(tmp_path / "published.onnx", checkpoint)


def test_a_repository_with_nothing_but_its_graph_loads(published, tmp_path):
    published("bert_mean")
    directory = tmp_path / "repository"
    shutil.copytree(GOLDEN / "bert_mean", directory)
    (directory / "model.safetensors").unlink()
    (directory / "onnx").mkdir()
    for source, name in (("published.onnx", "model.onnx"), ("model.weights", "model.weights")):
        shutil.copy(tmp_path / source, directory / "onnx" / name)
    for _ in ("cold", "warm"):
        model = load(directory, tmp_path / "cache", cores=1, engine="auto")
        assert model.engine.name == PUBLISHED
        assert "model.safetensors: is missing" in model.choice.reason
        assert model.sizes == {"dense": 48}


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (Pooling.MEAN, [1.5, 0]),
        (Pooling.CLS, [1, 0]),
        (Pooling.LAST_TOKEN, [2, 0]),
        (Pooling.MAX, [2, 0]),
        (Pooling.MEAN_SQRT_LEN, [3 / np.sqrt(2), 0]),
        (Pooling.WEIGHTED_MEAN, [5 / 3, 0]),
    ],
)
def test_padding_never_counts(mode, expected):
    states = np.array([[[1, 0], [2, 0], [99, 99]]], dtype=np.float32)
    vectors = pooled(states, np.array([2], np.int32), mode)
    np.testing.assert_allclose(vectors[0], expected, rtol=1e-6)
