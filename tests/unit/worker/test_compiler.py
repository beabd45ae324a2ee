"""What a checkpoint may vary is compiled, and what cannot be compiled says why."""

import json
import re
import string

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
from safetensors.numpy import load_file, save_file

from tests.unit.worker.goldens import edit
from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.config import CheckpointError
from worker.compiler.blocks import activated
from worker.compiler.body import Tokens
from worker.compiler.compile import compile_checkpoint
from worker.compiler.families import UnsupportedArchitectureError
from worker.compiler.graph import Graph
from worker.compiler.mpnet import bucket
from worker.compiler.parameters import Linear
from worker.compiler.positions import places_after_padding
from worker.engine import TokenBatch
from worker.engines.onnxruntime_cpu import OnnxRuntimeCpu
from worker.texts.late_interaction import ColbertSettings

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


POOLINGS = {
    "lasttoken": lambda tokens: tokens[-1],
    "max_tokens": lambda tokens: tokens.max(axis=0),
    "cls_token": lambda tokens: tokens[0],
    "mean_sqrt_len_tokens": lambda tokens: tokens.sum(axis=0) / np.sqrt(len(tokens)),
    "weightedmean_tokens": lambda tokens: np.average(
        tokens, axis=0, weights=np.arange(1, len(tokens) + 1)
    ),
}


@pytest.mark.parametrize("mode", POOLINGS)
def test_every_pooling_mode_computes_its_formula(golden, checkpoint_copy, compiled, mode):
    reference = golden("bert_xlmr_tokenizer")
    directory = checkpoint_copy("bert_xlmr_tokenizer")
    (directory / "1_Pooling/config.json").write_text(json.dumps({f"pooling_mode_{mode}": True}))
    dense = compiled(directory).run(TokenBatch.pack(reference.ids))["dense"]
    for row, ids in enumerate(reference.ids):
        expected = POOLINGS[mode](reference.hidden[row, : len(ids)])
        np.testing.assert_allclose(dense[row], expected, atol=HIDDEN_TOLERANCE, rtol=0)


def test_several_projections_follow_each_other(golden, checkpoint_copy, compiled):
    reference = golden("distilbert_dense")
    directory = checkpoint_copy("distilbert_dense")
    second = np.random.default_rng(0).normal(size=(5, 24)).astype(np.float32)
    (directory / "3_Dense").mkdir()
    (directory / "3_Dense/config.json").write_text(
        '{"bias": false, "activation_function": "torch.nn.modules.linear.Identity"}'
    )
    save_file({"linear.weight": second}, directory / "3_Dense/model.safetensors")
    modules = json.loads((directory / "modules.json").read_bytes())
    modules.append({"type": "sentence_transformers.models.Dense", "path": "3_Dense"})
    (directory / "modules.json").write_text(json.dumps(modules))
    dense = compiled(directory).run(TokenBatch.pack(reference.ids))["dense"]
    np.testing.assert_allclose(
        dense, reference.embeddings @ second.T, atol=HIDDEN_TOLERANCE, rtol=0
    )


@pytest.mark.parametrize(
    ("pooling", "function", "values"),
    [
        ("sum", "relu", lambda weights: weights.sum(axis=0)),
        ("max", "log1p_relu", lambda weights: np.log1p(weights).max(axis=0)),
    ],
)
def test_splade_pools_as_its_module_says(checkpoint_copy, compiled, pooling, function, values):
    directory = checkpoint_copy("splade_bert")
    (directory / "1_SpladePooling/config.json").write_text(
        json.dumps({"pooling_strategy": pooling, "activation_function": function})
    )
    reference = np.load(directory / "reference.npz")
    rows = reference["attention_mask"][:4].sum(axis=1)
    ids = [reference["input_ids"][row, :size].astype(np.int32) for row, size in enumerate(rows)]
    sparse = compiled(directory).run(TokenBatch.pack(ids))["sparse"]
    for row, size in enumerate(rows):
        weights = np.log1p(np.maximum(reference["logits_0_to_3"][row, :size], 0))
        np.testing.assert_allclose(sparse[row], values(weights), atol=5e-3, rtol=1e-4)


def test_a_decoder_of_its_own_replaces_the_word_vectors(checkpoint_copy, compiled):
    directory = checkpoint_copy("splade_bert")
    batch = TokenBatch.pack([np.arange(9, dtype=np.int32)])
    expected = compiled(directory).run(batch)["sparse"]
    tensors = load_file(directory / "model.safetensors")
    words = tensors["bert.embeddings.word_embeddings.weight"]
    tensors["cls.predictions.decoder.weight"] = np.ascontiguousarray(words[::-1])
    tensors["cls.predictions.bias"] = np.ascontiguousarray(tensors["cls.predictions.bias"][::-1])
    save_file(tensors, directory / "model.safetensors")
    sparse = compiled(directory).run(batch)["sparse"]
    np.testing.assert_allclose(sparse[:, ::-1], expected, atol=2e-4, rtol=0)


def test_the_bias_of_a_decoder_of_its_own_replaces_the_tied_one(checkpoint_copy, compiled):
    directory = checkpoint_copy("splade_bert")
    batch = TokenBatch.pack([np.arange(9, dtype=np.int32)])
    expected = compiled(directory).run(batch)["sparse"]
    tensors = load_file(directory / "model.safetensors")
    tied = tensors["cls.predictions.bias"]
    tensors |= {"cls.predictions.decoder.bias": tied, "cls.predictions.bias": tied + 7}
    save_file(tensors, directory / "model.safetensors")
    np.testing.assert_array_equal(compiled(directory).run(batch)["sparse"], expected)


def test_a_pylate_checkpoint_is_a_colbert(checkpoint_copy, compiled, tmp_path):
    """PyLate keeps the projection in a module, and the settings in another file."""
    directory = checkpoint_copy("colbert")
    expected = compiled(directory).run(TokenBatch.pack([np.arange(9, dtype=np.int32)]))
    tensors = load_file(directory / "model.safetensors")
    (directory / "1_Dense").mkdir()
    save_file(
        {"linear.weight": tensors.pop("linear.weight")}, directory / "1_Dense/model.safetensors"
    )
    save_file(tensors, directory / "model.safetensors")
    (directory / "1_Dense/config.json").write_text(
        '{"activation_function": "torch.nn.modules.linear.Identity"}'
    )
    edit(directory / "config.json", architectures=["BertModel"])
    modules = ["sentence_transformers.models.Transformer", "pylate.models.Dense.Dense"]
    paths = zip(modules, ["", "1_Dense"], strict=True)
    (directory / "modules.json").write_text(
        json.dumps([{"type": kind, "path": path} for kind, path in paths])
    )
    answers = compiled(directory).run(TokenBatch.pack([np.arange(9, dtype=np.int32)]))
    np.testing.assert_allclose(answers["multivector"], expected["multivector"], atol=1e-6)


@pytest.mark.parametrize(
    ("words", "skipped"),
    [
        ({}, tuple(string.punctuation)),
        ({"skiplist_words": []}, ()),
        ({"skiplist_words": ["!"]}, "!"),
    ],
)
def test_pylate_skips_punctuation_where_nothing_is_said(checkpoint_copy, words, skipped):
    directory = checkpoint_copy("colbert")
    said = {"query_length": 24, "document_length": 60} | words
    (directory / "config_sentence_transformers.json").write_text(json.dumps(said))
    settings = ColbertSettings.read(Checkpoint.open(directory))
    assert settings.skipped == tuple(skipped)


def test_a_padding_token_in_a_text_keeps_the_paddings_position(tmp_path):
    """RoBERTa does not count it, so the tokens after it stand where they stood without it."""
    with Graph("places", tmp_path) as graph:
        ids = graph.input("ids", onnx.TensorProto.INT32, ("rows", "tokens"))
        tokens = Tokens(ids, "", None, 5)
        places = places_after_padding(graph, tokens, 2)
        graph.output("places", places, onnx.TensorProto.INT32, ("rows", "tokens"))
        graph.save()
    session = onnxruntime.InferenceSession(
        tmp_path / "model.onnx", providers=["CPUExecutionProvider"]
    )
    (numbered,) = session.run(["places"], {"ids": np.array([[0, 5, 1, 6, 2]], np.int32)})
    assert numbered.tolist() == [[2, 3, 1, 4, 5]]


def test_mpnet_buckets_are_those_of_t5():
    """Each distance up to 7 has its own bucket; 128 and beyond share the last."""
    near = bucket(np.arange(-8, 9), 32).tolist()
    assert near == [8, 7, 6, 5, 4, 3, 2, 1, 0, 17, 18, 19, 20, 21, 22, 23, 24]
    far = bucket(np.array([-1000, -128, -64, -16, 16, 64, 128, 1000]), 32).tolist()
    assert far == [15, 15, 14, 10, 26, 30, 31, 31]


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


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("bert_mean", "encoder.layer.1.attention.self.query.bias"),
        ("bert_mean", "encoder.layer.0.attention.self.value.bias"),
        ("roberta_mean", "encoder.layer.0.output.LayerNorm.bias"),
        ("mpnet", "encoder.layer.0.intermediate.dense.bias"),
        ("distilbert", "transformer.layer.0.ffn.lin2.bias"),
        ("deberta_v3", "encoder.layer.0.attention.self.key_proj.bias"),
        ("clip", "text_model.encoder.layers.0.self_attn.k_proj.bias"),
        ("siglip", "vision_model.encoder.layers.0.mlp.fc1.bias"),
    ],
)
def test_a_bias_that_the_architecture_has_and_the_file_has_not_is_named(
    checkpoint_copy, compiled, name, lost
):
    directory = checkpoint_copy(name)
    tensors = load_file(directory / "model.safetensors")
    (found,) = [each for each in tensors if each.endswith(lost)]
    del tensors[found]
    save_file(tensors, directory / "model.safetensors")
    with pytest.raises(CheckpointError, match=f"has no tensor {re.escape(found)}"):
        compiled(directory)


@pytest.mark.parametrize(
    ("entry", "tensor"), [("attention_bias", "attn.Wqkv.bias"), ("mlp_bias", "mlp.Wi.bias")]
)
def test_a_bias_that_a_configuration_names_must_be_there(checkpoint_copy, compiled, entry, tensor):
    directory = checkpoint_copy("modernbert_mean")
    edit(directory / "config.json", **{entry: True})
    with pytest.raises(CheckpointError, match=rf"has no tensor .*layers\.0\.{re.escape(tensor)}"):
        compiled(directory)


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
    with Graph("activation", directory) as graph:
        value = graph.input("x", onnx.TensorProto.FLOAT, (1, 3, 4))
        linear = Linear(
            graph.constant("w", np.eye(4, dtype=np.float32)), graph.constant("b", bias), 4
        )
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
        ({"hidden_act": "mish"}, "hidden_act mish is not supported"),
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
