"""Late interaction as sentence-transformers saves it: a mask module, and markers as prompts."""

import json
import string

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.unit.worker.goldens import COLBERT
from tests.unit.worker.graphs import edit
from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.config import CheckpointError
from worker.checkpoint.heads import MultivectorHead, Projection
from worker.texts.late_interaction import open_tokenizer

QUERY, DOCUMENT = "[unused0] ", "[unused1] "
TOKENS = {"module_input_name": "token_embeddings", "module_output_name": "token_embeddings"}
MODULES = {
    "Transformer": ("", None),
    "Dense": ("1_Dense", TOKENS | {"activation_function": "torch.nn.modules.linear.Identity"}),
    "MultiVectorMask": ("2_Mask", {"skiplist_words": list(string.punctuation)}),
    "Normalize": ("3_Normalize", TOKENS),
}


@pytest.fixture
def saved(checkpoint_copy):
    """The golden ColBERT, in the other layout."""
    directory = checkpoint_copy("colbert")
    tensors = load_file(directory / "model.safetensors")
    for path, config in MODULES.values():
        if config is not None:
            (directory / path).mkdir()
            (directory / path / "config.json").write_text(json.dumps(config))
    projection = {"linear.weight": tensors.pop("linear.weight")}
    save_file(projection, directory / "1_Dense/model.safetensors")
    save_file(tensors, directory / "model.safetensors")
    listed = [{"type": f"a.b.{kind}", "path": path} for kind, (path, _) in MODULES.items()]
    (directory / "modules.json").write_text(json.dumps(listed))
    settings = json.loads((directory / "artifact.metadata").read_bytes())
    (directory / "artifact.metadata").unlink()
    edit(directory / "config.json", architectures=["BertModel"])
    expansion = {"strategy": "fixed", "attend": False, "length": settings["query_maxlen"]}
    lengths = {"document_length": settings["doc_maxlen"], "query_expansion": expansion}
    (directory / "sentence_bert_config.json").write_text(json.dumps(lengths))
    _make_markers_special(directory / "tokenizer.json")
    return directory


def _make_markers_special(path):
    tokenizer = json.loads(path.read_bytes())
    kept = [each for each in tokenizer["added_tokens"] if not each["content"].startswith("[unused")]
    plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    for marker in (QUERY.strip(), DOCUMENT.strip()):
        number = tokenizer["model"]["vocab"][marker]
        kept.append({"id": number, "content": marker, "special": True, **plain})
    tokenizer["added_tokens"] = sorted(kept, key=lambda each: each["id"])
    path.write_text(json.dumps(tokenizer))


@pytest.mark.parametrize(("kind", "prompt"), [("queries", QUERY), ("documents", DOCUMENT)])
def test_inputs_are_those_of_the_published_layout(saved, kind, prompt):
    texts, is_query = COLBERT.inputs[kind], kind == "queries"
    published = open_tokenizer(Checkpoint.open(COLBERT.directory))
    ours = open_tokenizer(Checkpoint.open(saved))
    marked = ours.encode([prompt + text for text in texts], is_query=is_query)
    for one, other in zip(marked, published.encode(texts, is_query=is_query), strict=True):
        np.testing.assert_array_equal(one.ids, other.ids)
        assert (one.unattended, one.truncated) == (other.unattended, other.truncated)
        np.testing.assert_array_equal(one.kept, other.kept)


def test_the_projection_is_a_module(saved):
    projection = Projection("1_Dense", "model", "linear", "identity")
    assert Checkpoint.open(saved).heads == (MultivectorHead((projection,)),)


def test_without_expansion_queries_are_as_long_as_they_are(saved):
    edit(saved / "sentence_bert_config.json", query_expansion=None, query_length=7)
    tokenizer = open_tokenizer(Checkpoint.open(saved))
    short, long = tokenizer.encode(["cat", "the cat sat on the mat and slept"], is_query=True)
    assert len(short.ids) < 7
    assert (len(long.ids), long.truncated, long.unattended) == (7, True, 0)


@pytest.mark.parametrize(
    ("file", "values", "problem"),
    [
        ("2_Mask/config.json", {"keep_only_token_ids": [3]}, "keep_only_token_ids is not supp"),
        ("2_Mask/config.json", {"skiplist_tasks": ["query"]}, "other than document is not supp"),
        ("3_Normalize/config.json", {"module_input_name": "x"}, "not of length 1, are not supp"),
        ("1_Dense/config.json", {"module_output_name": "x"}, "module_output_name x is not supp"),
        (
            "sentence_bert_config.json",
            {"query_expansion": {"strategy": "min", "length": 9}},
            "query_expansion min is not supported",
        ),
    ],
)
def test_what_is_read_otherwise_is_refused(saved, file, values, problem):
    edit(saved / file, **values)
    with pytest.raises(CheckpointError, match=problem):
        open_tokenizer(Checkpoint.open(saved))


def test_a_mask_without_a_projection_is_refused(saved):
    modules = json.loads((saved / "modules.json").read_bytes())
    left = [module for module in modules if module["path"] != "1_Dense"]
    (saved / "modules.json").write_text(json.dumps(left))
    with pytest.raises(CheckpointError, match="but with Dense and Normalize"):
        Checkpoint.open(saved)
