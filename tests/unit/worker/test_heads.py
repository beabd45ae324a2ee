"""What a checkpoint answers with is told by its files."""

import json

import pytest

from tests.unit.worker.goldens import ALL, COLBERT, edit
from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.config import CheckpointError
from worker.checkpoint.heads import (
    DenseHead,
    MultivectorHead,
    Output,
    Pooling,
    SequenceClassificationHead,
    SpladeHead,
    TokenClassificationHead,
)
from worker.verbs.relevance import Relevance, relevance_of

_TRANSFORMER = "sentence_transformers.base.modules.transformer.Transformer"


@pytest.mark.parametrize("golden", [*ALL, COLBERT], ids=str)
def test_the_outputs_of_golden_checkpoints(golden):
    assert list(Checkpoint.open(golden.directory).outputs) == list(golden.outputs)


@pytest.mark.parametrize(
    ("architecture", "head"),
    [
        ("BertModel", DenseHead(Pooling.MEAN)),
        ("BertForMaskedLM", SpladeHead()),
        ("BertForSequenceClassification", SequenceClassificationHead()),
        ("BertForTokenClassification", TokenClassificationHead()),
        ("HF_ColBERT", MultivectorHead()),
    ],
)
def test_without_modules_the_architecture_decides(checkpoint_copy, architecture, head):
    directory = checkpoint_copy("bert_mean")
    (directory / "modules.json").unlink()
    edit(directory / "config.json", architectures=[architecture])
    assert Checkpoint.open(directory).heads == (head,)


def test_with_modules_a_masked_language_model_is_what_they_say(checkpoint_copy):
    directory = checkpoint_copy("bert_mean")
    edit(directory / "config.json", architectures=["BertForMaskedLM"])
    assert Checkpoint.open(directory).outputs == (Output.DENSE,)


@pytest.mark.parametrize(
    ("name", "activation", "expected"),
    [
        ("bert_cross_encoder", "torch.nn.modules.linear.Identity", Relevance.LOGIT),
        ("xlmr_reranker", "torch.nn.modules.activation.Sigmoid", Relevance.SIGMOID),
        ("modernbert_reranker", "torch.nn.modules.linear.Identity", Relevance.LOGIT),
        ("bert_nli", None, None),
    ],
)
def test_a_cross_encoder_with_modules_is_no_embedder(checkpoint_copy, name, activation, expected):
    """Later releases of sentence-transformers save them so."""
    directory = checkpoint_copy(name)
    edit(directory / "config.json", sentence_transformers=None)
    (directory / "modules.json").write_text(json.dumps([{"type": _TRANSFORMER, "path": ""}]))
    task = {"transformer_task": "sequence-classification", "module_output_name": "scores"}
    (directory / "sentence_bert_config.json").write_text(json.dumps(task))
    said = {"model_type": "CrossEncoder", "activation_fn": activation, "prompts": {}}
    (directory / "config_sentence_transformers.json").write_text(json.dumps(said))
    checkpoint = Checkpoint.open(directory)
    assert checkpoint.heads == (SequenceClassificationHead(),)
    assert relevance_of(checkpoint, len(checkpoint.labels)) == expected


@pytest.mark.parametrize("family", ["roberta", "distilbert", "xlm-roberta"])
def test_the_first_releases_named_the_length_after_the_family(checkpoint_copy, family):
    directory = checkpoint_copy("bert_mean")
    (directory / "sentence_bert_config.json").rename(directory / f"sentence_{family}_config.json")
    edit(directory / f"sentence_{family}_config.json", max_seq_length=11)
    assert Checkpoint.open(directory).max_length == 11


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"use_residual": True}, "use_residual is not supported"),
        ({"module_output_name": "scores"}, "module_output_name scores is not supported here"),
        ({"module_input_name": "token_embeddings"}, "module_input_name token_embeddings is not"),
    ],
)
def test_a_projection_that_does_something_else_is_refused(checkpoint_copy, values, problem):
    directory = checkpoint_copy("distilbert_dense")
    edit(directory / "2_Dense/config.json", **values)
    with pytest.raises(CheckpointError, match=problem):
        Checkpoint.open(directory)


def test_a_projection_before_the_pooling_is_refused(checkpoint_copy):
    directory = checkpoint_copy("distilbert_dense")
    first, *rest = json.loads((directory / "modules.json").read_bytes())
    (directory / "modules.json").write_text(json.dumps([first, *reversed(rest)]))
    with pytest.raises(CheckpointError, match="has Dense before Pooling"):
        Checkpoint.open(directory)


def test_both_heads_of_bge_m3_must_be_there(checkpoint_copy):
    directory = checkpoint_copy("bge_m3")
    (directory / "sparse_linear.pt").unlink()
    assert Checkpoint.open(directory).outputs == (Output.DENSE,)


@pytest.mark.parametrize(("name", "told"), [("bert_nli", True), ("bert_ner", False)])
def test_only_pairs_are_told_apart(name, told, checkpoint_copy):
    directory = checkpoint_copy(name)
    assert Checkpoint.open(directory).reads_type_ids is told
    edit(directory / "config.json", type_vocab_size=1)
    assert Checkpoint.open(directory).reads_type_ids is False


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"pooling_strategy": "min"}, "relu with min pooling is not supported"),
        ({"activation_function": "gelu"}, "gelu with max pooling is not supported"),
    ],
)
def test_an_unknown_splade_pooling_is_refused(checkpoint_copy, values, problem):
    directory = checkpoint_copy("splade_bert")
    edit(directory / "1_SpladePooling/config.json", **values)
    with pytest.raises(CheckpointError, match=problem):
        Checkpoint.open(directory)


def test_pooling_without_the_prompt_is_refused(checkpoint_copy):
    directory = checkpoint_copy("bert_mean")
    edit(directory / "1_Pooling/config.json", include_prompt=False)
    with pytest.raises(CheckpointError, match="pooling without the prompt"):
        Checkpoint.open(directory)


def test_prompts_are_read(checkpoint_copy):
    directory = checkpoint_copy("bert_mean")
    (directory / "config_sentence_transformers.json").write_text(
        json.dumps({"prompts": {"query": "q: ", "none": None}, "default_prompt_name": "query"})
    )
    checkpoint = Checkpoint.open(directory)
    assert checkpoint.prompts == {"query": "q: ", "none": ""}
    assert checkpoint.default_prompt == "q: "


def test_modules_after_normalize_are_refused(checkpoint_copy):
    directory = checkpoint_copy("bert_mean")
    modules = json.loads((directory / "modules.json").read_bytes())
    modules.append({"type": "sentence_transformers.models.Dense", "path": "3_Dense"})
    (directory / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(CheckpointError, match="modules after Normalize"):
        Checkpoint.open(directory)
