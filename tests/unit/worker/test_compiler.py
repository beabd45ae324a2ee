"""Compiled graphs answer what the original implementations answer."""

import json
import shutil

import ml_dtypes
import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file, save_file

from worker.checkpoint import Checkpoint
from worker.compiler import UnsupportedArchitectureError, compile_checkpoint
from worker.engine import TokenBatch
from worker.engines.onnxruntime_cpu import OnnxRuntimeCpu
from worker.weights import CheckpointError

NAMES = [
    "bert_mean",
    "bert_cls",
    "bert_xlmr_tokenizer",
    "deberta_v3",
    "e5_mistral",
    "qwen2_embedding",
    "qwen3_embedding",
]
HIDDEN_TOLERANCE = 1e-4
VECTOR_TOLERANCE = 1e-5


@pytest.fixture
def compiled(tmp_path):
    def build(directory, **options):
        out = tmp_path / f"compiled-{len(list(tmp_path.iterdir()))}"
        out.mkdir()
        compile_checkpoint(Checkpoint.open(directory), out, **options)
        return OnnxRuntimeCpu(out / "model.onnx")

    return build


def edit(path, **values):
    path.write_text(json.dumps(json.loads(path.read_bytes()) | values))


@pytest.mark.parametrize("name", NAMES)
def test_hidden_states_and_vectors_agree_in_one_batch(golden, compiled, name):
    reference = golden(name)
    outputs = compiled(reference.directory, hidden_states=True).run(TokenBatch.pack(reference.ids))
    for row, ids in enumerate(reference.ids):
        np.testing.assert_allclose(
            outputs["last_hidden_state"][row, : len(ids)],
            reference.hidden[row, : len(ids)],
            atol=HIDDEN_TOLERANCE,
            rtol=0,
        )
    np.testing.assert_allclose(
        outputs["dense"], reference.embeddings, atol=VECTOR_TOLERANCE, rtol=0
    )


@pytest.mark.parametrize("name", NAMES)
def test_vectors_agree_one_by_one(golden, compiled, name):
    reference = golden(name)
    engine = compiled(reference.directory)
    for ids, expected in zip(reference.ids, reference.embeddings, strict=True):
        dense = engine.run(TokenBatch.pack([ids]))["dense"]
        assert dense.dtype == np.float32
        np.testing.assert_allclose(dense[0], expected, atol=VECTOR_TOLERANCE, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_both_spellings_of_the_configuration_load(golden, checkpoint_copy, compiled, name):
    reference = golden(name)
    directory = checkpoint_copy(name)
    shutil.copytree(directory / "v5_layout", directory, dirs_exist_ok=True)
    dense = compiled(directory).run(TokenBatch.pack(reference.ids))["dense"]
    np.testing.assert_allclose(dense, reference.embeddings, atol=VECTOR_TOLERANCE, rtol=0)


def test_the_last_token_can_be_the_vector(golden, checkpoint_copy, compiled):
    reference = golden("bert_xlmr_tokenizer")
    directory = checkpoint_copy("bert_xlmr_tokenizer")
    (directory / "1_Pooling/config.json").write_text('{"pooling_mode_lasttoken": true}')
    dense = compiled(directory).run(TokenBatch.pack(reference.ids))["dense"]
    for row, ids in enumerate(reference.ids):
        last = reference.hidden[row, len(ids) - 1]
        np.testing.assert_allclose(dense[row], last, atol=HIDDEN_TOLERANCE, rtol=0)


def test_tensors_below_a_prefix_and_old_norm_names_are_found(golden, checkpoint_copy, compiled):
    reference = golden("bert_mean")
    directory = checkpoint_copy("bert_mean")
    renamed = {
        "bert."
        + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in load_file(directory / "model.safetensors").items()
    }
    save_file(renamed, directory / "model.safetensors")
    edit(directory / "config.json", architectures=["BertForMaskedLM"])
    dense = compiled(directory).run(TokenBatch.pack(reference.ids))["dense"]
    np.testing.assert_allclose(dense, reference.embeddings, atol=VECTOR_TOLERANCE, rtol=0)


def test_bfloat16_weights_answer_nearly_the_same(golden, checkpoint_copy, compiled):
    reference = golden("bert_mean")
    directory = checkpoint_copy("bert_mean")
    file = directory / "model.safetensors"
    halved = {name: t.astype(ml_dtypes.bfloat16) for name, t in load_file(file).items()}
    save_file(halved, file)
    dense = compiled(directory).run(TokenBatch.pack(reference.ids))["dense"]
    np.testing.assert_allclose(dense, reference.embeddings, atol=2e-2, rtol=0)


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("relu", lambda x: np.maximum(x, 0)),
        ("gelu_new", lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))),
    ],
)
def test_activations_compute_their_formula(tmp_path, activation, function):
    x = np.linspace(-3, 3, 12, dtype=np.float32).reshape(1, 3, 4)
    bias = np.array([0.5, -0.5, 0, 1], dtype=np.float32)
    result = run_activation(tmp_path, activation, x, bias)
    np.testing.assert_allclose(result, function(x + bias), atol=1e-6, rtol=0)


def run_activation(directory, activation, x, bias):
    import onnxruntime

    from worker.compiler.blocks import activated
    from worker.compiler.graph import Graph
    from worker.compiler.parameters import Linear

    with Graph("activation", directory) as graph:
        value = graph.input("x", onnx.TensorProto.FLOAT, (1, 3, 4))
        linear = Linear(graph.constant("w", np.eye(4, dtype=np.float32)), graph.constant("b", bias))
        result = activated(graph, value, linear, activation)
        graph.output("y", result, onnx.TensorProto.FLOAT, (1, 3, 4))
        graph.save()
    session = onnxruntime.InferenceSession(
        directory / "model.onnx", providers=["CPUExecutionProvider"]
    )
    return session.run(["y"], {"x": x})[0]


def test_the_same_checkpoint_compiles_to_the_same_bytes(golden, tmp_path):
    directories = [tmp_path / "first", tmp_path / "second"]
    for directory in directories:
        directory.mkdir()
        compile_checkpoint(Checkpoint.open(golden("bert_cls").directory), directory)
    first, second = ({f.name: f.read_bytes() for f in d.iterdir()} for d in directories)
    assert first == second
    assert set(first) == {"model.onnx", "model.weights"}


def test_the_graph_is_valid_onnx(golden, tmp_path):
    compile_checkpoint(Checkpoint.open(golden("bert_mean").directory), tmp_path)
    onnx.checker.check_model(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("values", "architecture"),
    [
        ({"architectures": ["T5EncoderModel"]}, "T5EncoderModel"),
        ({"architectures": ["BertForMultipleChoice"]}, "BertForMultipleChoice"),
        ({"architectures": None, "model_type": "mamba"}, "mamba"),
    ],
)
def test_an_unsupported_architecture_is_named_beside_the_supported(
    checkpoint_copy, compiled, values, architecture
):
    directory = checkpoint_copy("bert_mean")
    edit(directory / "config.json", **values)
    with pytest.raises(UnsupportedArchitectureError, match=r"supported are .*BertModel") as raised:
        compiled(directory)
    assert raised.value.architecture == architecture


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"hidden_act": "silu"}, "hidden_act silu is not supported"),
        ({"position_embedding_type": "relative_key"}, "only absolute position embeddings"),
        ({"is_decoder": True}, "is a decoder"),
        ({"num_attention_heads": 5}, "not a multiple"),
        ({"num_hidden_layers": 3}, r"has no tensor encoder\.layer\.2"),
        ({"vocab_size": 901}, r"has shape \(900, 48\), not \(901, 48\)"),
        ({"intermediate_size": None}, "has no intermediate_size"),
        ({"max_position_embeddings": 40}, "40 positions, too few for inputs of 48"),
    ],
)
def test_a_configuration_that_cannot_be_compiled_says_why(
    checkpoint_copy, compiled, values, problem
):
    directory = checkpoint_copy("bert_mean")
    edit(directory / "config.json", **values)
    with pytest.raises(CheckpointError, match=problem):
        compiled(directory)
