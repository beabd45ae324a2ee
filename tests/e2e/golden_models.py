"""Definitions of golden checkpoints, for a cluster that serves them beside each other."""

import json
import shutil
from pathlib import Path

import yaml

GOLDEN = Path(__file__).parents[1] / "golden"

_DENSE = {"encode": {"dense": {"dims": 24}}}
_TASKS = {
    "bert_cross_encoder": {"score": {}},
    "qwen3_reranker": {"score": {}},
    "colbert": {"encode": {"multivector": {"dims": 16}}},
    "splade_bert": {"encode": {"sparse": {"dims": 760}}},
    "clip": _DENSE,
    "bert_ner": {"extract": {}},
    "bert_nli": {"extract": {}},
    "bert_classes": {"extract": {}},
    "gliner": {"extract": {}},
}
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
    classes = _with_classes_of_its_own(directory.parent / "bert_classes")
    for name, tasks in _TASKS.items():
        model = {
            "model_id": f"golden/{name}",
            "sources": [{"directory": str(GOLDEN / name if name != classes.name else classes)}],
            "inputs": _INPUTS.get(name, ["text"]),
            "tasks": tasks,
        }
        (directory / f"{name}.yaml").write_text(yaml.safe_dump(model))
    return directory


def _with_classes_of_its_own(directory: Path) -> Path:
    """Copy the inference model under names that make it a classifier of texts."""
    shutil.copytree(GOLDEN / "bert_nli", directory)
    config = json.loads((directory / "config.json").read_bytes())
    config["id2label"] = {"0": "sad", "1": "merry", "2": "neither"}
    config["label2id"] = {label: int(place) for place, label in config["id2label"].items()}
    (directory / "config.json").write_text(json.dumps(config))
    return directory
