"""The tensors of a checkpoint, mapped from its files and read one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Protocol, Self

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from worker.checkpoint.config import CheckpointError, Config
from worker.checkpoint.torch_file import TorchFile

_FLOATS = {"F16": np.float16, "BF16": ml_dtypes.bfloat16, "F32": np.float32, "F64": np.float64}


def weight_files(directory: Path, stem: str) -> list[Path]:
    """Return the files that hold the tensors of `stem`, in a stable order.

    In order of preference: the shards that an index lists, `stem`.safetensors, and what
    torch.save wrote (`stem`.pt; pytorch_model.bin for `model`).

    """
    torch = "pytorch_model.bin" if stem == "model" else f"{stem}.pt"
    for name in (f"{stem}.safetensors", torch):
        index = directory / f"{name}.index.json"
        if index.exists():
            return _shards(index)
        if (directory / name).exists():
            return [directory / name]
    return [directory / f"{stem}.safetensors"]


def lies_below(path: str) -> bool:
    """Whether a path that a checkpoint's file states stays within the directory it starts from."""
    stated = PurePosixPath(path)
    return not stated.is_absolute() and ".." not in stated.parts


class Weights:
    """Tensors by name, over all files of a checkpoint.

    Only one tensor is in memory at a time, unless the caller keeps it. Integer tensors (the
    `position_ids` buffers that old releases saved) are not weights and are not listed, nor are
    those of eight bits.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = list(files)
        self._open: dict[Path, _TensorFile] = {}
        self._where: dict[str, Path] = {}
        for path in files:
            self._open[path] = _open(path)
            self._where |= dict.fromkeys(self._open[path].floats(), path)

    def __contains__(self, name: str) -> bool:
        return name in self._where

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor; raise CheckpointError if it is absent."""
        return self._open[self._path(name)].shape(name)

    def read(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return a tensor as float32, C-contiguous.

        Raises:
            CheckpointError: it is absent, has another shape, or holds NaN or infinity.

        """
        path = self._path(name)
        tensor = self._open[path].read(name)
        if tensor.shape != shape:
            raise CheckpointError(path, f"tensor {name} has shape {tensor.shape}, not {shape}")
        values: NDArray[np.float32] = np.ascontiguousarray(tensor, dtype=np.float32)
        if not np.isfinite(values).all():
            raise CheckpointError(path, f"tensor {name} holds NaN or infinity")
        return values

    def close(self) -> None:
        """Unmap the files."""
        self._open.clear()

    def _path(self, name: str) -> Path:
        if name not in self._where:
            kinds = [kind for file in self._open.values() if (kind := file.dtype(name))]
            if kinds:
                problem = f"tensor {name} is stored as {kinds[0]}, which is not supported"
                raise CheckpointError(self._files[0], problem)
            raise CheckpointError(self._files[0], f"has no tensor {name}")
        return self._where[name]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _TensorFile(Protocol):
    """A file of tensors."""

    def floats(self) -> list[str]:
        """Return the names of the floating-point tensors."""

    def dtype(self, name: str) -> str:
        """Return what a tensor is stored as; "" where there is none of that name."""

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""

    def read(self, name: str) -> NDArray[Any]:
        """Return a tensor as stored; raise CheckpointError if it cannot be read."""


class _SafetensorsFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file: Any = safe_open(path, framework="numpy")
        except FileNotFoundError:
            raise CheckpointError(path, "is missing") from None
        except (SafetensorError, OSError) as error:
            raise CheckpointError(path, f"is not a safetensors file: {error}") from error

    def floats(self) -> list[str]:
        names = self._file.keys()
        return [name for name in names if self._file.get_slice(name).get_dtype() in _FLOATS]

    def dtype(self, name: str) -> str:
        there = name in self._file.keys()  # noqa: SIM118 - not a dictionary
        return str(self._file.get_slice(name).get_dtype()) if there else ""

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._file.get_slice(name).get_shape())

    def read(self, name: str) -> NDArray[Any]:
        try:
            tensor: NDArray[Any] = self._file.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(self._path, f"tensor {name} cannot be read: {error}") from error
        return tensor


def _open(path: Path) -> _TensorFile:
    return _SafetensorsFile(path) if path.suffix == ".safetensors" else TorchFile(path)


def _shards(index: Path) -> list[Path]:
    shards = Config.read(index).values.get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise CheckpointError(index, "has no weight_map")
    for name in shards.values():
        if not (isinstance(name, str) and lies_below(name)):
            raise CheckpointError(index, f"names {name}, which is no file beside it")
    return [index.parent / name for name in sorted(set(shards.values()))]
