"""Tensors of a file that torch.save wrote, read without PyTorch and without executing it.

    <name>/data.pkl       a pickle that builds the state dict from references to storages
    <name>/data/<key>     the bytes of each storage
    <name>/byteorder      `little` (optional)

Unpickling a file runs whatever it names. Here its opcodes are interpreted instead: the few
that a dictionary of tensors needs, over an allow-list of names, and nothing that is called.
Anything else is a CheckpointError.
"""

from __future__ import annotations

import math
import pickletools
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from worker.config import CheckpointError

_STORAGES = {
    "FloatStorage": np.dtype(np.float32),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "DoubleStorage": np.dtype(np.float64),
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_),
}
_FLOATS = {_STORAGES[f"{kind}Storage"] for kind in ("Float", "Half", "BFloat16", "Double")}


@dataclass(frozen=True, slots=True)
class _Storage:
    key: str
    dtype: np.dtype[Any]
    elements: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    """Where a tensor's elements lie: offset and strides count elements of the storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


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
                self._tensors = _tensors(path, archive.read(pickle))
        except FileNotFoundError:
            raise CheckpointError(path, "is missing") from None
        except (zipfile.BadZipFile, ValueError, OSError) as error:
            raise CheckpointError(path, f"is not a zip file of torch.save: {error}") from error

    def floats(self) -> list[str]:
        """Return the names of the floating-point tensors."""
        return [name for name, tensor in self._tensors.items() if tensor.storage.dtype in _FLOATS]

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return self._tensors[name].shape

    def read(self, name: str) -> NDArray[Any]:
        """Return a tensor as stored; raise CheckpointError if its bytes are not there."""
        tensor = self._tensors[name]
        try:
            with zipfile.ZipFile(self._path) as archive:
                content = archive.read(f"{self._folder}data/{tensor.storage.key}")
        except (KeyError, zipfile.BadZipFile, OSError) as error:
            raise self._unreadable(name, str(error)) from error
        return self._view(name, tensor, content)

    def _view(self, name: str, tensor: _Tensor, content: bytes) -> NDArray[Any]:
        dtype = tensor.storage.dtype
        steps = zip(tensor.shape, tensor.strides, strict=True)
        last = tensor.offset + sum((size - 1) * stride for size, stride in steps)
        if math.prod(tensor.shape) and (last + 1) * dtype.itemsize > len(content):
            raise self._unreadable(name, "it reaches beyond its storage")
        return np.ndarray(
            tensor.shape,
            dtype,
            content,
            offset=tensor.offset * dtype.itemsize,
            strides=[stride * dtype.itemsize for stride in tensor.strides],
        )

    def _check_byte_order(self, archive: zipfile.ZipFile) -> None:
        name = f"{self._folder}byteorder"
        if name in archive.namelist() and archive.read(name) != b"little":
            raise CheckpointError(self._path, "is not little-endian")

    def _unreadable(self, name: str, problem: str) -> CheckpointError:
        return CheckpointError(self._path, f"tensor {name} cannot be read: {problem}")


def _tensors(path: Path, pickle: bytes) -> dict[str, _Tensor]:
    try:
        found = _Interpreter().run(pickle)
    except _RefusedError as error:
        raise CheckpointError(path, f"is refused: {error}") from error
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(path, f"has a malformed pickle: {error!r}") from error
    if not isinstance(found, dict):
        raise CheckpointError(path, "is not a dictionary of tensors")
    return {str(name): value for name, value in found.items() if isinstance(value, _Tensor)}


class _RefusedError(Exception):
    """The pickle asks for something that a dictionary of tensors does not need."""


def _dictionary() -> dict[Any, Any]:
    return {}


def _rebuilt(storage: Any, offset: Any, shape: Any, strides: Any, *_unused: Any) -> _Tensor:
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, _Storage) or not all(type(n) is int and n >= 0 for n in numbers):
        raise _RefusedError("a tensor is not built from a storage and sizes")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _parameter(tensor: Any, *_unused: Any) -> Any:
    return tensor


# The stand-ins are our own functions: nothing that a pickle names is ever imported.
_BUILDERS: dict[str, Callable[..., Any]] = {
    "collections OrderedDict": _dictionary,
    "torch._utils _rebuild_tensor_v2": _rebuilt,
    "torch._utils _rebuild_parameter": _parameter,
}
_TYPES = {f"torch {name}": dtype for name, dtype in _STORAGES.items()}

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = {
    "BININT",
    "BININT1",
    "BININT2",
    "LONG1",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINFLOAT",
}


class _Mark:
    """Where a run of stack items begins."""


class _Interpreter:
    """A stack machine for the opcodes of a pickled state dict."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, pickle: bytes) -> Any:
        """Return what the pickle describes; raise _RefusedError for anything unexpected."""
        for opcode, argument, _ in pickletools.genops(pickle):
            name = opcode.name
            if name == "STOP":
                return self._stack.pop()
            if name in _LITERALS:
                self._stack.append(argument)
            elif name in _CONSTANTS:
                self._stack.append(_CONSTANTS[name])
            elif name not in _STEPS:
                raise _RefusedError(f"opcode {name} has no place in a dictionary of tensors")
            else:
                _STEPS[name](self, argument)
        raise ValueError("the pickle has no end")

    def name(self, argument: str) -> None:
        """GLOBAL: push the stand-in of an allowed name."""
        allowed = _BUILDERS.get(argument) or _TYPES.get(argument)
        if allowed is None:
            raise _RefusedError(f"it names {argument.replace(' ', '.')}")
        self._stack.append(allowed)

    def reference(self, _argument: None) -> None:
        """BINPERSID: push the storage that ("storage", type, key, device, elements) names."""
        kind, dtype, key, _device, elements = self._stack.pop()
        if kind != "storage" or not isinstance(dtype, np.dtype) or type(elements) is not int:
            raise _RefusedError("a reference is not to a storage")
        self._stack.append(_Storage(str(key), dtype, elements))

    def call(self, _argument: None) -> None:
        """REDUCE: build an allowed value from the arguments on the stack."""
        arguments = self._stack.pop()
        builder = self._stack.pop()
        if builder not in _BUILDERS.values():
            raise _RefusedError("it calls what is no constructor of a tensor")
        self._stack.append(builder(*arguments))

    def attributes(self, _argument: None) -> None:
        """BUILD: drop the attributes of a dictionary (torch keeps `_metadata` there)."""
        self._stack.pop()
        if not isinstance(self._stack[-1], dict):
            raise _RefusedError("it sets attributes")

    def set_items(self, _argument: None) -> None:
        flat = self._run()
        self._stack[-1].update(zip(flat[::2], flat[1::2], strict=True))

    def set_item(self, _argument: None) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._stack[-1][key] = value

    def append_items(self, _argument: None) -> None:
        items = self._run()
        self._stack[-1].extend(items)

    def group(self, count: int) -> None:
        """TUPLE1 to TUPLE3, and EMPTY_TUPLE: the last `count` items become a tuple."""
        split = len(self._stack) - count
        self._stack[split:] = [tuple(self._stack[split:])]

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def group_run(self, _argument: None) -> None:
        self._stack.append(tuple(self._run()))

    def remember(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def memoize(self, _argument: None) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def recall(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def _run(self) -> list[Any]:
        """Pop the items after the last mark, and the mark."""
        start = max(i for i, item in enumerate(self._stack) if isinstance(item, _Mark))
        items = self._stack[start + 1 :]
        del self._stack[start:]
        return items


_STEPS: dict[str, Callable[[_Interpreter, Any], None]] = {
    "PROTO": lambda _machine, _argument: None,
    "FRAME": lambda _machine, _argument: None,
    "GLOBAL": _Interpreter.name,
    "BINPERSID": _Interpreter.reference,
    "REDUCE": _Interpreter.call,
    "BUILD": _Interpreter.attributes,
    "MARK": lambda machine, _argument: machine.push(_Mark()),
    "EMPTY_DICT": lambda machine, _argument: machine.push({}),
    "EMPTY_LIST": lambda machine, _argument: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _argument: machine.push(()),
    "SETITEMS": _Interpreter.set_items,
    "SETITEM": _Interpreter.set_item,
    "APPENDS": _Interpreter.append_items,
    "TUPLE": _Interpreter.group_run,
    "TUPLE1": lambda machine, _argument: machine.group(1),
    "TUPLE2": lambda machine, _argument: machine.group(2),
    "TUPLE3": lambda machine, _argument: machine.group(3),
    "BINPUT": _Interpreter.remember,
    "LONG_BINPUT": _Interpreter.remember,
    "MEMOIZE": _Interpreter.memoize,
    "BINGET": _Interpreter.recall,
    "LONG_BINGET": _Interpreter.recall,
}
