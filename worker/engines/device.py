"""What decides how fast an engine is here, beside the graph: what measurements are kept by."""

from __future__ import annotations

import functools
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from worker.engines.sessions import available_cores

_LIBRARIES = ("onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt")


def fingerprint(engines: Sequence[str], cores: int | None = None) -> dict[str, object]:
    """Describe this machine, the engines at hand and their libraries, as JSON values."""
    return {
        "processor": _processor(),
        "cores": cores or available_cores(),
        "engines": list(engines),
        "libraries": {name: _version(name) for name in _LIBRARIES},
    }


@functools.cache
def _processor() -> str:
    """Return the processor's model name (proc(5)), or what the platform module knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
