"""A text of megabytes is tokenised in slices, and their tokens are joined to those of the whole.

Lists of a million tokens are made and freed in one go, for half a second in which nobody else in
the process runs; those of a slice take milliseconds.

    text      ─────────────────────────────────────
    slices    ├───────────────┤
                          ├───────────────┤
                                      ├───────────┤
    seams                   │           │        both sides read the same tokens from here on

What stands next to a cut may be read otherwise than within the text, so neighbours share some of
it, and are joined in its middle. Where they differ even there, nothing can be joined.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# In characters: of a slice, and of what two neighbours share.
_LENGTH = 1 << 16
_SHARED = 1 << 11
_STEP = _LENGTH - _SHARED
# So many tokens from a seam on must be the same on both sides.
_AGREED = 16


class Pieces(NamedTuple):
    """All tokens of a text, special ones left out.

    Attributes:
        ids: (tokens,) int32.
        offsets: (tokens, 2) int64, first character and one past the last, in code points.
        begins_word: (tokens,) bool, which tokens do not continue the word before, told as the token
            classification of `transformers` does.

    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    begins_word: NDArray[np.bool_]

    def part(self, first: int, last: int | None) -> Pieces:
        """Return the tokens from `first` to before `last`."""
        part = slice(first, last)
        return Pieces(self.ids[part], self.offsets[part], self.begins_word[part])

    def behind(self, place: int) -> int:
        """Return which token is the first that begins at a character or behind it."""
        return int(np.searchsorted(self.offsets[:, 0], place))


def is_long(text: str) -> bool:
    """Tell whether a text has more than one slice."""
    return len(text) > _LENGTH


def slices(text: str) -> list[str]:
    """Divide a text; a short one, and an empty one, is one slice."""
    starts = range(0, max(1, len(text) - _SHARED), _STEP)
    return [text[start : start + _LENGTH] for start in starts]


def joined(parts: Sequence[Pieces]) -> Pieces | None:
    """Join the tokens of a text's slices to those of the text; None if they do not fit."""
    moved = [
        part._replace(offsets=part.offsets + number * _STEP) for number, part in enumerate(parts)
    ]
    first, kept = 0, []
    for number, (one, other) in enumerate(itertools.pairwise(moved), start=1):
        seam = number * _STEP + _SHARED // 2
        last, beginning = one.behind(seam), other.behind(seam)
        if not _agree(one.part(last, last + _AGREED), other.part(beginning, beginning + _AGREED)):
            return None
        kept.append(one.part(first, last))
        first = beginning
    kept.append(moved[-1].part(first, None))
    return Pieces(*map(np.concatenate, zip(*kept, strict=True)))


def _agree(one: Pieces, other: Pieces) -> bool:
    return len(one.ids) == _AGREED and all(
        np.array_equal(*both) for both in zip(one, other, strict=True)
    )
