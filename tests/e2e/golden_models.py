"""Definitions of golden checkpoints, for a cluster that serves them beside each other."""

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
    "gliner": {"extract": {}},
}
_INPUTS = {"clip": ["text", "image"]}

MODELS = [f"golden/{name}" for name in _TASKS]


def write_definitions(directory: Path) -> Path:
    """Write a file for each model, and return the directory."""
    directory.mkdir()
    for name, tasks in _TASKS.items():
        model = {
            "model_id": f"golden/{name}",
            "sources": [{"directory": str(GOLDEN / name)}],
            "inputs": _INPUTS.get(name, ["text"]),
            "tasks": tasks,
        }
        (directory / f"{name}.yaml").write_text(yaml.safe_dump(model))
    return directory
