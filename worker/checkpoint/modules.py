"""The modules of sentence-transformers that a checkpoint is made of: its modules.json."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from worker.checkpoint.config import CheckpointError, read_json
from worker.checkpoint.weights import lies_below


class Module(NamedTuple):
    """An entry of modules.json: the class's name, and its path below the checkpoint."""

    kind: str
    path: str


_TRANSFORMERS = {"Transformer", "MLMTransformer", "CLIPModel"}
MASK = "MultiVectorMask"
"""The module of sentence-transformers that says which tokens of a multivector count."""

_KNOWN = _TRANSFORMERS | {"Pooling", "Dense", "Normalize", "SpladePooling", MASK}


def read_modules(directory: Path) -> tuple[Module, ...]:
    """Read modules.json; nothing where there is none."""
    path = directory / "modules.json"
    if not path.exists():
        return ()
    try:
        modules = tuple(
            Module(entry["type"].rpartition(".")[2], entry["path"]) for entry in read_json(path)
        )
    except (TypeError, KeyError, AttributeError):
        raise CheckpointError(path, "is not a list of modules with type and path") from None
    for module in modules:
        if not lies_below(module.path):
            raise CheckpointError(path, f"has the path {module.path}, which leads out of it")
    kinds = [module.kind for module in modules]
    unsupported = set(kinds) - _KNOWN
    if unsupported:
        raise CheckpointError(path, f"has unsupported modules: {', '.join(sorted(unsupported))}")
    if "Normalize" in [kind for kind in kinds if kind != MASK][:-1]:
        raise CheckpointError(path, "has modules after Normalize, which is not supported")
    if "Pooling" in kinds and "Dense" in kinds[: kinds.index("Pooling")]:
        raise CheckpointError(path, "has Dense before Pooling, which is not supported")
    return modules


def encoder_path(modules: tuple[Module, ...]) -> str:
    """Where the encoder's files lie below the checkpoint's directory."""
    return next((module.path for module in modules if module.kind in _TRANSFORMERS), "")
