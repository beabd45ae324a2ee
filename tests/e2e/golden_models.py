"""Definitions of golden checkpoints, for a cluster that serves them beside each other."""

import json
import shutil
from pathlib import Path

import yaml

GOLDEN = Path(__file__).parents[1] / "golden"
MINILM = GOLDEN / "minilm"

_DENSE = {"encode": {"dense": {"dims": 24}}}
_TASKS = {
    "bert_cross_encoder": {"score": {}},
    "bert_logits": {"score": {}},
    "qwen3_reranker": {"score": {}},
    "colbert": {"encode": {"multivector": {"dims": 16}}},
    "splade_bert": {"encode": {"sparse": {"dims": 760}}},
    "clip": _DENSE,
    "bert_ner": {"extract": {}},
    "bert_nli": {"extract": {}},
    "bert_classes": {"extract": {}},
    "gliner": {"extract": {}},
}
# The inference model under names that make it a classifier of texts.
_CLASSES = {
    "id2label": {"0": "sad", "1": "merry", "2": "neither"},
    "label2id": {"sad": 0, "merry": 1, "neither": 2},
}
# The cross-encoder without an activation: it gives its logits as they are.
_LOGITS = {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}
_INPUTS = {"clip": ["text", "image"]}

MODELS = [f"golden/{name}" for name in _TASKS]
# For routes that name no model: one of each kind.
DEFAULT_MODELS = [
    f"golden/{name}"
    for name in ("clip", "colbert", "splade_bert", "bert_cross_encoder", "bert_classes")
]


def write_definitions(directory: Path) -> Path:
    """Write a file for each model, and return the directory."""
    directory.mkdir()
    made = {
        "bert_classes": _changed(directory.parent, "bert_classes", "bert_nli", _CLASSES),
        "bert_logits": _changed(directory.parent, "bert_logits", "bert_cross_encoder", _LOGITS),
    }
    for name, tasks in _TASKS.items():
        model = {
            "model_id": f"golden/{name}",
            "sources": [{"directory": str(made.get(name, GOLDEN / name))}],
            "inputs": _INPUTS.get(name, ["text"]),
            "tasks": tasks,
        }
        (directory / f"{name}.yaml").write_text(yaml.safe_dump(model))
    return directory


def _changed(directory: Path, name: str, golden: str, config: dict) -> Path:
    """Copy a checkpoint, with some of its configuration replaced."""
    copy = shutil.copytree(GOLDEN / golden, directory / name)
    replaced = {**json.loads((copy / "config.json").read_bytes()), **config}
    (copy / "config.json").write_text(json.dumps(replaced))
    return copy
