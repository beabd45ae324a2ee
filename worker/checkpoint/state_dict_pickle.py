"""The pickle of a torch state dict, read without executing it.

Unpickling runs whatever a file names. Here the opcodes are interpreted instead: the few that
a dictionary of tensors needs, over an allow-list of names, each with a stand-in of our own;
nothing that a pickle names is imported, and nothing of it is called.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

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


class RefusedError(Exception):
    """A pickle asks for something that a dictionary of tensors does not need."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of elements in the file `data/<key>`."""

    key: str
    dtype: np.dtype[Any]
    elements: int


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a tensor's elements lie: offset and strides count elements of the storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_state_dict(pickle: bytes) -> dict[str, StoredTensor]:
    """Return the tensors that a pickle names.

    Raises:
        RefusedError: it holds anything else.

    """
    try:
        found = _Interpreter().run(pickle)
    except (IndexError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise RefusedError(f"its pickle is malformed: {error!r}") from error
    if not isinstance(found, dict):
        raise RefusedError("it is no dictionary of tensors")
    return {str(name): value for name, value in found.items() if isinstance(value, StoredTensor)}


def _dictionary() -> dict[Any, Any]:
    return {}


def _rebuilt(storage: Any, offset: Any, shape: Any, strides: Any, *_unused: Any) -> StoredTensor:
    numbers = (offset, *shape, *strides)
    sizes = len(shape) == len(strides) and all(type(n) is int and n >= 0 for n in numbers)
    if not isinstance(storage, Storage) or not sizes:
        raise RefusedError("a tensor is not made of a storage and sizes")
    return StoredTensor(storage, offset, tuple(shape), tuple(strides))


def _parameter(tensor: Any, *_unused: Any) -> Any:
    return tensor


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
        """Return what the pickle describes; raise RefusedError for anything unexpected."""
        for opcode, argument, _ in pickletools.genops(pickle):
            name = opcode.name
            if name == "STOP":
                return self._stack.pop()
            if name in _LITERALS:
                self._stack.append(argument)
            elif name in _CONSTANTS:
                self._stack.append(_CONSTANTS[name])
            elif name not in _STEPS:
                raise RefusedError(f"its pickle has the opcode {name}")
            else:
                _STEPS[name](self, argument)
        raise ValueError("the pickle has no end")

    def name(self, argument: str) -> None:
        """GLOBAL: push the stand-in of an allowed name."""
        allowed = _BUILDERS.get(argument) or _TYPES.get(argument)
        if allowed is None:
            raise RefusedError(f"its pickle names {argument.replace(' ', '.')}")
        self._stack.append(allowed)

    def reference(self, _argument: None) -> None:
        """BINPERSID: push the storage that ("storage", type, key, device, elements) names."""
        kind, dtype, key, _device, elements = self._stack.pop()
        if kind != "storage" or not isinstance(dtype, np.dtype) or type(elements) is not int:
            raise RefusedError("a reference is not to a storage")
        self._stack.append(Storage(str(key), dtype, elements))

    def call(self, _argument: None) -> None:
        """REDUCE: build an allowed value from the arguments on the stack."""
        arguments = self._stack.pop()
        builder = self._stack.pop()
        if builder not in _BUILDERS.values():
            raise RefusedError("its pickle calls what makes no tensor")
        self._stack.append(builder(*arguments))

    def attributes(self, _argument: None) -> None:
        """BUILD: drop the attributes of a dictionary (torch keeps `_metadata` there)."""
        self._stack.pop()
        if not isinstance(self._stack[-1], dict):
            raise RefusedError("its pickle sets attributes")

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
