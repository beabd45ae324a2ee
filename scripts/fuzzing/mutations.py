"""Random changes of bytes, and of values before they become bytes."""

import math
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

import msgpack
import numpy as np

_INTERESTING = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"[",
    b"{",
    b'"',
    b"\xc1",
    b"\xdd\xff\xff\xff\xff",
)
_LONGEST = 4096
_SCALARS: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**32, -(2**63), 2**64 - 1, 0.5, 1e308, -1e-320),
    *("", "a", "\u0000", "é" * 300, "9" * 40, "====", "aGk", "float32", "default"),
]
_ONLY_PACKED: list[Any] = [
    *(math.nan, math.inf, b"", b"\xff\xfe", b"a" * 300),
    *(msgpack.ExtType(4, b"x"), msgpack.Timestamp(1, 5)),
    *(np.zeros((2, 3), "<f4"), np.full((1, 2), np.nan, "<f8"), np.zeros(0, "<i8"), np.float32(2)),
]


def mutated(data: bytes, other: bytes, random: Random) -> bytes:
    """Bytes near `data`, perhaps with a part of `other`."""
    changed = bytearray(data)
    for _ in range(1 + min(7, int(random.expovariate(0.7)))):
        random.choice(_CHANGES)(changed, other, random)
    return bytes(changed[: _LONGEST * 16])


def _flip(data: bytearray, _: bytes, random: Random) -> None:
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _overwrite(data: bytearray, _: bytes, random: Random) -> None:
    at = random.randrange(len(data) + 1)
    value = random.choice(_INTERESTING)
    data[at : at + len(value)] = value


def _insert(data: bytearray, _: bytes, random: Random) -> None:
    at = random.randrange(len(data) + 1)
    data[at:at] = random.choice(_INTERESTING) * random.choice((1, 1, 2, 40, 3000))


def _delete(data: bytearray, _: bytes, random: Random) -> None:
    at = random.randrange(len(data) + 1)
    del data[at : at + random.choice((1, 2, 8, 100, len(data)))]


def _repeat(data: bytearray, _: bytes, random: Random) -> None:
    start = random.randrange(len(data) + 1)
    part = data[start : start + random.randrange(1, 64)]
    data[start:start] = part * random.choice((1, 2, 20))


def _splice(data: bytearray, other: bytes, random: Random) -> None:
    start = random.randrange(len(other) + 1)
    at = random.randrange(len(data) + 1)
    data[at : at + random.randrange(64)] = other[start : start + random.randrange(256)]


_CHANGES: list[Callable[[bytearray, bytes, Random], None]] = [
    *(_flip, _overwrite, _insert, _delete, _repeat, _splice)
]


def reshaped(value: Any, random: Random, *, packed: bool) -> Any:
    """A value near `value`: some of its parts are replaced, dropped, renamed or repeated.

    Args:
        value: what JSON can hold.
        random: decides.
        packed: whether it may also hold what only MessagePack can.
    """
    root = [deepcopy(value)]
    for _ in range(1 + min(4, int(random.expovariate(0.9)))):
        container, key = _place(root, random)
        _reshape(container, key, random, packed)
    return root[0]


def _place(root: list[Any], random: Random) -> tuple[Any, Any]:
    container: Any = root
    key: Any = 0
    while random.random() < 0.75:
        below = container[key]
        if not isinstance(below, dict | list) or not below:
            break
        container = below
        keys = list(below) if isinstance(below, dict) else range(len(below))
        key = random.choice(keys)
    return container, key


def _reshape(container: Any, key: Any, random: Random, packed: bool) -> None:
    value = container[key]
    match random.randrange(6):
        case 0 if isinstance(container, dict):
            container[random.choice(("", "x" * 200, f"{key}s", "camelCase"))] = container.pop(key)
        case 1 if isinstance(value, list) and len(value) < _LONGEST:
            value.extend(value * random.choice((1, 3, 50)))
        case 2:
            for _ in range(random.choice((1, 5, 30, 200))):
                value = [value] if random.random() < 0.5 else {"a": value}
            container[key] = value
        case 3 if isinstance(container, dict):
            del container[key]
            container.setdefault("items", [])
        case _:
            choices = _SCALARS + _ONLY_PACKED if packed else _SCALARS
            container[key] = random.choice([*choices, [], {}, [[]], {"a": {}}])
