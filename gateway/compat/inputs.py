"""Texts as other APIs take them, as items of our verbs; and what is wrong with them, back."""

import contextlib
import re
from collections.abc import Iterator

from servicekit.errors import SieError, invalid
from sie.compat.v1.inputs_pb2 import Inputs
from sie.inference.v1.item_pb2 import Item

# The field of an item that a verb is not content with.
_ITEM = re.compile(r"items\[(\d+)\](?:\.(?:text|token_ids))?")
_PARAMS = "params."


def items_of(inputs: Inputs, field: str, *, most: int, empty: bool = True) -> list[Item]:
    """An item for each text.

    Args:
        inputs: what was sent.
        field: its name.
        most: how many are taken.
        empty: whether texts may be empty.

    Raises:
        SieError: INVALID_INPUT, naming the field or its element.
    """
    count = len(inputs.values)
    if not 1 <= count <= most:
        raise invalid(field, f"1 to {most} texts are taken, got {count}")
    items = []
    for index, each in enumerate(inputs.values):
        where = field if inputs.single else f"{field}[{index}]"
        if each.token_ids and each.HasField("text"):
            raise invalid(where, "is either a text or token ids")
        if not (each.token_ids or each.text or (empty and each.HasField("text"))):
            raise invalid(where, "must not be empty")
        items.append(Item(token_ids=each.token_ids) if each.token_ids else Item(text=each.text))
    return items


@contextlib.contextmanager
def named(field: str, *, single: bool = False) -> Iterator[None]:
    """Has errors name fields as the caller knows them.

    Args:
        field: what the caller calls `items`.
        single: whether it holds a text instead of a list of texts.
    """
    try:
        yield
    except SieError as error:
        ours = error.metadata.get("field", "")
        theirs = ours.removeprefix(_PARAMS)
        if ours == "items":
            theirs = field
        elif theirs.startswith("output_types"):
            # Which output it is follows from the route, so the model is at fault.
            theirs = "model"
        elif found := _ITEM.match(ours):
            place = field if single else f"{field}[{found[1]}]"
            theirs = place + ours[found.end() :]
        if theirs == ours:
            raise
        message = error.message.replace(ours, theirs, 1)
        metadata = {**error.metadata, "field": theirs}
        raise SieError(
            error.reason, message, retry_after_s=error.retry_after_s, **metadata
        ) from None
