"""What decides how fast an engine is here, beside the graph: what measurements are kept by."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from worker.machine import available_cores, processor

_LIBRARIES = ("onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt")


def fingerprint(engines: Sequence[str], cores: int | None = None) -> dict[str, object]:
    """Describe this machine, the engines at hand and their libraries, as JSON values."""
    return {
        "processor": processor(),
        "cores": cores or available_cores(),
        "engines": list(engines),
        "libraries": {name: _version(name) for name in _LIBRARIES},
    }


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
