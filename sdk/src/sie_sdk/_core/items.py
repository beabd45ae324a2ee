"""What callers give as items, as the wire has it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from sie_sdk._core.pictures import picture
from sie_sdk.types import Item, ItemLike

T = TypeVar("T")

_KEYS = frozenset(Item.__annotations__)
# Beside its text and files, an item takes little.
_ITEM_BYTES = 64


def item(value: ItemLike) -> dict[str, Any]:
    """One item.

    Raises:
        TypeError: it is none, or has keys that items have not.
    """
    if isinstance(value, str):
        return {"text": value}
    if not isinstance(value, Mapping):
        raise TypeError(f"an item is a text or a dict such as Item(text=...), not {_name(value)}")
    if unknown := value.keys() - _KEYS:
        raise TypeError(f"items have no {', '.join(map(repr, sorted(map(str, unknown))))}")
    read = {key: part for key, part in value.items() if part is not None}
    for key, convert in _CONVERT.items():
        if key in read:
            read[key] = convert(read[key])
    return read


def is_one(items: ItemLike | Iterable[ItemLike]) -> bool:
    """Whether this is an item, rather than several."""
    return isinstance(items, str | Mapping)


def chunks(
    items: Iterable[dict[str, Any]], most_items: int, most_bytes: int
) -> Iterator[list[dict[str, Any]]]:
    """The items in order, in lists of at most `most_items`.

    A list ends early rather than hold more than about `most_bytes` of content, unless one item
    alone does.
    """
    chunk: list[dict[str, Any]] = []
    size = 0
    for each in items:
        weight = _weight(each)
        if chunk and (len(chunk) >= most_items or size + weight > most_bytes):
            yield chunk
            chunk, size = [], 0
        chunk.append(each)
        size += weight
    if chunk:
        yield chunk


def _weight(read: Mapping[str, Any]) -> int:
    files = [*read.get("images", ()), read.get("document") or {}]
    vectors = read.get("multivector")
    return (
        _ITEM_BYTES
        # Four bytes a character at most, and mostly little more than one.
        + 2 * len(read.get("text", ""))
        + sum(len(file.get("data", b"")) for file in files)
        + (vectors.nbytes if isinstance(vectors, np.ndarray) else 0)
    )


def _images(values: Any) -> list[dict[str, Any]]:
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Sequence):
        raise TypeError(f"images is a list of pictures, not {_name(values)}")
    return [picture(each) for each in values]


def _document(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, bytes):
        return {"data": value}
    if isinstance(value, str | PathLike):
        path = Path(value)
        return {"data": path.read_bytes(), "format": path.suffix.lstrip(".").lower()}
    raise TypeError(f"a document is a path, bytes or a dict, not {_name(value)}")


def _multivector(value: Any) -> Any:
    vectors = np.ascontiguousarray(value, dtype=np.float32)
    if vectors.ndim != 2:
        raise TypeError(f"a multivector has the shape (tokens, dims), not {vectors.shape}")
    return vectors


def _name(value: object) -> str:
    return type(value).__name__


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "images": _images,
    "document": _document,
    "multivector": _multivector,
    "metadata": dict,
}
