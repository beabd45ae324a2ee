"""Replies in the form that callers see."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sie_sdk._core.failure import Failure, Kind, error_of
from sie_sdk._core.rpcs import Reply
from sie_sdk.types import EncodeResult, ExtractResult, ScoreResult

_LISTS = ("entities", "relations", "classifications", "objects")


def encoded(reply: Reply, expected: int) -> list[EncodeResult]:
    """Results of Encode, one for each of `expected` items and in their order."""
    timing = reply.value.get("timing")
    return [_encoded(each, timing) for each in _items(reply, expected)]


def extracted(reply: Reply, expected: int) -> list[ExtractResult]:
    """Results of Extract, one for each of `expected` items and in their order."""
    timing = reply.value.get("timing")
    return [_extracted(each, timing) for each in _items(reply, expected)]


def scored(reply: Reply) -> ScoreResult:
    """The ranking, most relevant first."""
    if not isinstance(reply.value.get("scores"), list):
        raise error_of(_unreadable("the reply has no scores"))
    return reply.value  # type: ignore[no-any-return]


def only(results: list[Any]) -> Any:
    """The result of the one item of a request.

    Raises:
        SIEError: the item failed.
    """
    result = results[0]
    if (error := result.get("error")) is not None:
        raise error_of(
            Failure(
                Kind.ANSWER,
                error.get("message", ""),
                status=400,
                code=error.get("code", ""),
                metadata=error.get("metadata", {}),
            )
        )
    return result


def _items(reply: Reply, expected: int) -> list[Any]:
    items = reply.value.get("items")
    if not isinstance(items, list) or len(items) != expected:
        found = len(items) if isinstance(items, list) else "no"
        raise error_of(_unreadable(f"the reply has {found} results for {expected} items"))
    return items


def _unreadable(message: str) -> Failure:
    return Failure(Kind.UNREADABLE, message, code="UNREADABLE_REPLY")


def _encoded(item: Mapping[str, Any], timing: Any) -> EncodeResult:
    result: dict[str, Any] = dict(item)
    if (dense := item.get("dense")) is not None:
        result["dense"] = dense["values"]
        if "range_min" in dense:
            result["dense_range"] = (float(dense["range_min"]), float(dense["range_max"]))
    if (sparse := item.get("sparse")) is not None:
        result["sparse"] = {key: sparse[key] for key in sparse if key != "dtype"}
    if (rows := item.get("multivector")) is not None:
        values = np.asarray(rows["values"])
        result["multivector"] = values.reshape(-1, values.shape[-1] if values.size else 0)
    if timing:
        result["timing"] = timing
    return result  # type: ignore[return-value]


def _extracted(item: Mapping[str, Any], timing: Any) -> ExtractResult:
    result: dict[str, Any] = dict(item)
    for name in _LISTS:
        result[name] = [_plain(each) for each in item.get(name) or []]
    if timing:
        result["timing"] = timing
    return result  # type: ignore[return-value]


def _plain(found: Mapping[str, Any]) -> dict[str, Any]:
    """With a list for a box, which wires carry as an array."""
    return {
        key: value.tolist() if isinstance(value, np.ndarray) else value
        for key, value in found.items()
    }
