"""Token ids that a caller sends in place of a text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from servicekit.errors import invalid
from sie.inference.v1.item_pb2 import Item
from worker.texts.whole_texts import WholeTexts


def read_ids(vocabulary: WholeTexts, item: Item, path: str) -> NDArray[np.int32]:
    """Return an item's token ids.

    Args:
        vocabulary: the model's.
        item: the item.
        path: where it stands in the request.

    Raises:
        SieError: INVALID_INPUT, one of them is of another tokenizer.

    """
    ids = np.array(item.token_ids, dtype=np.int64)
    unknown = vocabulary.first_unknown(ids)
    if unknown is not None:
        problem = f"the model's tokenizer has no id {ids[unknown]}; send its own ids, or the text"
        raise invalid(f"{path}.token_ids[{unknown}]", problem)
    return ids.astype(np.int32)
