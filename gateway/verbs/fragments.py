"""Fragments of a reply: what workers send, and what stands for those that failed."""

from typing import Any

from sie.errors.v1.error_pb2 import Error


def error_of(result: Any) -> Error:
    """The error of a packed result, whose messages are of classes of their own."""
    return Error.FromString(result.error.SerializeToString())


def item_range(result: Any) -> range:
    """Indices in the request of the items that a result answers."""
    return range(result.first_item, result.first_item + result.item_count)
