"""Fragments of a reply: what workers send, and what stands for those that failed."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from google.protobuf.message import Message

from servicekit.errors import from_proto
from sie.errors.v1.error_pb2 import Error


def joined(
    verb: str,
    results: Sequence[Any],
    failed: Callable[[int, Error], Message],
    tail: Message,
) -> bytes:
    """The results of workers as they are, one after the other, and a last fragment of our own.

    Args:
        verb: the field of the results that holds a fragment.
        results: packed twins of WorkResult.
        failed: the fragment of one item, by its index in the request, that has only an error.
        tail: what the reply holds beside its items.
    """
    fragments: list[bytes] = []
    for result in results:
        if result.WhichOneof("outcome") == verb:
            fragments.append(getattr(result, verb))
        else:
            error = error_of(result)
            fragments += (failed(i, error).SerializeToString() for i in item_range(result))
    return b"".join([*fragments, tail.SerializeToString()])


def error_of(result: Any) -> Error:
    """The error of a result, which may be a packed twin with messages of classes of their own."""
    return Error.FromString(result.error.SerializeToString())


def raise_item_error(results: Iterable[Any]) -> None:
    """Raises the first error of an item's result, for callers who have no place for one.

    Raises:
        SieError: what a worker said.
    """
    for result in results:
        if result.HasField("error"):
            raise from_proto(error_of(result))


def item_range(result: Any) -> range:
    """Indices in the request of the items that a result answers."""
    return range(result.first_item, result.first_item + result.item_count)
