"""Which files of a repository a checkpoint needs: a pure function of their names.

Repositories carry the same weights several times over, for other frameworks and in other
formats. What `worker.checkpoint.checkpoint` reads is taken, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

_SETTINGS = {".json", ".txt", ".model", ".metadata"}
_TORCH = {".bin", ".pt"}
_NOT_WEIGHTS = ("training_args", "optimizer", "scheduler", "scaler", "rng_state")
_OTHER_FORMATS = {"onnx", "openvino", "coreml", "original", "gguf", "runs", "eval", "assets"}
# A module of sentence-transformers is one folder deep.
_MAX_DEPTH = 2


def needed(names: Iterable[str]) -> list[str]:
    """Return the names to fetch, ordered; paths are relative, with forward slashes."""
    paths = [path for path in map(PurePosixPath, names) if _may_belong(path)]
    with_safetensors = {path.parent for path in paths if path.suffix == ".safetensors"}
    return sorted(
        str(path) for path in paths if path.suffix != ".bin" or path.parent not in with_safetensors
    )


def _may_belong(path: PurePosixPath) -> bool:
    if path.is_absolute() or ".." in path.parts or len(path.parts) > _MAX_DEPTH:
        return False
    if path.parts[0].lower() in _OTHER_FORMATS or path.name.startswith("."):
        return False
    if path.suffix in _TORCH:
        return not path.stem.startswith(_NOT_WEIGHTS)
    return path.suffix in _SETTINGS or path.suffix == ".safetensors"
