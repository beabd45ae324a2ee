"""Token ids that a caller sends in place of a text."""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence

import numpy as np
from numpy.typing import NDArray

from servicekit.errors import invalid
from sie.inference.v1.item_pb2 import Item
from worker.texts.whole_texts import WholeTexts

# So many numbers become objects of Python's at once: nobody else in the process runs meanwhile.
_AT_ONCE = 1 << 14


def read_ids(vocabulary: WholeTexts, item: Item, path: str) -> NDArray[np.int32]:
    """Return an item's token ids.

    Args:
        vocabulary: the model's.
        item: the item.
        path: where it stands in the request.

    Raises:
        SieError: INVALID_INPUT, one of them is of another tokenizer.

    """
    ids = array_of(item.token_ids)
    unknown = vocabulary.first_unknown(ids)
    if unknown is not None:
        problem = f"the model's tokenizer has no id {ids[unknown]}; send its own ids, or the text"
        raise invalid(f"{path}.token_ids[{unknown}]", problem)
    return ids.astype(np.int32)


def array_of(ids: Sequence[int]) -> NDArray[np.int64]:
    """Return what a message's field holds, (tokens,) int64."""
    found = np.empty(len(ids), dtype=np.int64)
    for first in range(0, len(ids), _AT_ONCE):
        found[first : first + _AT_ONCE] = ids[first : first + _AT_ONCE]
    return found


def put_ids(field: MutableSequence[int], ids: NDArray[np.int32]) -> None:
    """Put ids behind those that a message's field holds."""
    for first in range(0, len(ids), _AT_ONCE):
        field.extend(ids[first : first + _AT_ONCE].tolist())
