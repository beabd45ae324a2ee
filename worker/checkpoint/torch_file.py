"""Tensors of a file that torch.save wrote, read without PyTorch and without executing it.

    <name>/data.pkl       a pickle that builds the state dict from references to storages
    <name>/data/<key>     the bytes of each storage
    <name>/byteorder      `little` (optional)

A file that holds more than a dictionary of tensors is refused.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from worker.checkpoint.config import CheckpointError
from worker.checkpoint.state_dict_pickle import RefusedError, StoredTensor, read_state_dict

_FLOATS = {np.dtype(kind) for kind in (np.float32, np.float16, np.float64, ml_dtypes.bfloat16)}


class TorchFile:
    """The tensors of one file, by name."""

    def __init__(self, path: Path) -> None:
        """Read the names and shapes.

        Raises:
            CheckpointError: the file is missing, corrupt, or holds more than named tensors.

        """
        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                (pickle,) = (n for n in archive.namelist() if n.endswith("/data.pkl"))
                self._folder = pickle.removesuffix("data.pkl")
                self._check_byte_order(archive)
                self._tensors = read_state_dict(_stored(archive, pickle))
        except FileNotFoundError:
            raise CheckpointError(path, "is missing") from None
        except RefusedError as error:
            raise CheckpointError(path, f"is refused: {error}") from error
        except (zipfile.BadZipFile, ValueError, OSError) as error:
            raise CheckpointError(path, f"is not a zip file of torch.save: {error}") from error

    def floats(self) -> list[str]:
        """Return the names of the floating-point tensors."""
        return [name for name, tensor in self._tensors.items() if tensor.storage.dtype in _FLOATS]

    def dtype(self, name: str) -> str:
        """Return what a tensor is stored as; "" where there is none of that name."""
        return str(self._tensors[name].storage.dtype) if name in self._tensors else ""

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return self._tensors[name].shape

    def read(self, name: str) -> NDArray[Any]:
        """Return a tensor as stored; raise CheckpointError if its bytes are not there."""
        tensor = self._tensors[name]
        try:
            with zipfile.ZipFile(self._path) as archive:
                return _view(tensor, _stored(archive, f"{self._folder}data/{tensor.storage.key}"))
        except (KeyError, ValueError, zipfile.BadZipFile, OSError) as error:
            raise CheckpointError(self._path, f"tensor {name} cannot be read: {error}") from error

    def _check_byte_order(self, archive: zipfile.ZipFile) -> None:
        name = f"{self._folder}byteorder"
        if name in archive.namelist() and archive.read(name) != b"little":
            raise CheckpointError(self._path, "is not little-endian")


def _view(tensor: StoredTensor, content: bytes) -> NDArray[Any]:
    """Return a tensor over its storage's bytes; raise ValueError where it does not fit."""
    dtype = tensor.storage.dtype
    # NumPy itself refuses what would reach beyond the bytes.
    return np.ndarray(
        tensor.shape,
        dtype,
        content,
        offset=tensor.offset * dtype.itemsize,
        strides=[stride * dtype.itemsize for stride in tensor.strides],
    )


def _stored(archive: zipfile.ZipFile, name: str) -> bytes:
    """Read a member; raise ValueError if it is compressed, as torch never writes one."""
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed")
    return archive.read(name)
