"""Where a model's files are: the first of its sources that is at hand."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

from sie.registry.v1.model_pb2 import ModelSource, PythonPackage
from worker.checkpoint import CheckpointError


class SourceError(Exception):
    """None of a model's sources can be had; the message has the reason of each."""


def locate(sources: Sequence[ModelSource]) -> Path:
    """Find the checkpoint directory of a model.

    Raises:
        SourceError: no source is at hand.
        CheckpointError: a file's sha256 is not the one that the source names.

    """
    reasons = []
    for source in sources:
        try:
            directory = _directory_of(source)
        except SourceError as error:
            reasons.append(str(error))
            continue
        _check_digests(directory, source.sha256)
        return directory
    raise SourceError("; ".join(reasons) or "the model names no source")


def _directory_of(source: ModelSource) -> Path:
    kind = source.WhichOneof("source")
    if kind == "directory":
        return _existing(Path(source.directory))
    if kind == "python_package":
        return _in_package(source.python_package)
    raise SourceError(f"source '{kind}' cannot be read by this worker")


def _in_package(package: PythonPackage) -> Path:
    spec = importlib.util.find_spec(package.package)
    if spec is None or not spec.submodule_search_locations:
        raise SourceError(f"Python package '{package.package}' is not installed")
    return _existing(Path(next(iter(spec.submodule_search_locations))) / package.path)


def _existing(directory: Path) -> Path:
    if not directory.is_dir():
        raise SourceError(f"directory {directory} does not exist")
    return directory


def _check_digests(directory: Path, digests: Mapping[str, str]) -> None:
    for name, expected in digests.items():
        path = directory / name
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
        if actual != expected.lower():
            raise CheckpointError(path, f"has sha256 {actual}, and {expected} was expected")
