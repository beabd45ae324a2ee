"""Checkpoints that are on this machine already: in a directory, or in a Python package."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from sie.registry.v1.model_pb2 import PythonPackage
from worker.sources.errors import SourceError


def in_directory(directory: Path) -> Path:
    """Return the directory; raise SourceError if there is none."""
    if not directory.is_dir():
        raise SourceError(f"directory {directory} does not exist")
    return directory


def in_package(package: PythonPackage) -> Path:
    """Return a directory of an installed package; raise SourceError if there is none."""
    try:
        spec = importlib.util.find_spec(package.package)
    except ModuleNotFoundError:  # the parent of a dotted name
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise SourceError(f"Python package '{package.package}' is not installed")
    return in_directory(Path(next(iter(spec.submodule_search_locations))) / package.path)
