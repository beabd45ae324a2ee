"""The tensors of a checkpoint, mapped from safetensors files and read one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

_FLOATS = {"F16": np.float16, "BF16": ml_dtypes.bfloat16, "F32": np.float32, "F64": np.float64}


class CheckpointError(Exception):
    """A checkpoint cannot be used: which file, and what is wrong with it."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class Weights:
    """Tensors by name, over all files of a checkpoint.

    Only one tensor is in memory at a time, unless the caller keeps it. Integer tensors (the
    `position_ids` buffers that old releases saved) are not weights and are not listed.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = list(files)
        self._open: dict[Path, Any] = {}
        self._where: dict[str, Path] = {}
        for path in files:
            self._open[path] = _open(path)
            for name in self._open[path].keys():  # noqa: SIM118 - safe_open is no mapping
                if self._open[path].get_slice(name).get_dtype() in _FLOATS:
                    self._where[name] = path

    def __contains__(self, name: str) -> bool:
        return name in self._where

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def read(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return a tensor as float32, C-contiguous.

        Raises:
            CheckpointError: it is absent, has another shape, or holds NaN or infinity.

        """
        path = self._where.get(name)
        if path is None:
            raise CheckpointError(self._files[0], f"has no tensor {name}")
        try:
            tensor = self._open[path].get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(path, f"tensor {name} cannot be read: {error}") from error
        if tensor.shape != shape:
            raise CheckpointError(path, f"tensor {name} has shape {tensor.shape}, not {shape}")
        values: NDArray[np.float32] = np.ascontiguousarray(tensor, dtype=np.float32)
        if not np.isfinite(values).all():
            raise CheckpointError(path, f"tensor {name} holds NaN or infinity")
        return values

    def close(self) -> None:
        """Unmap the files."""
        self._open.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _open(path: Path) -> Any:
    try:
        return safe_open(path, framework="numpy")
    except FileNotFoundError:
        raise CheckpointError(path, "is missing") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(path, f"is not a safetensors file: {error}") from error
