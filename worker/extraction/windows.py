"""A long text is read in windows that overlap, and what was found in them becomes one list.

    text      ─────────────────────────────────────────────
    windows   ├──────────────┤
                        ├──────────────┤      a quarter of each is read again in the next
                                  ├──────────────┤
    spans         [──]    [────]        [─      cut by the border: taken from the next window

Both functions are pure. A span no longer than the overlap lies whole in some window.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.extraction.spans import Rules, Span

# A window has so many times the units that it shares with the next.
_WINDOW_PER_OVERLAP = 4

# Labels may take as much of an input as leaves this share of it to the text.
LEAST_SHARE = 0.25


def windows(sizes: NDArray[np.int64], room: int, most: int | None = None) -> list[range]:
    """Divide a text's units, tokens or words, into runs that overlap.

    Args:
        sizes: (units,), what each unit takes of the room.
        room: the most that a window holds; only a unit larger than it alone exceeds it.
        most: the most units in a window.

    Returns:
        Runs of units that together cover all of them, in order; none if there are no units.

    """
    ends = np.concatenate([[0], np.cumsum(sizes)])
    found: list[range] = []
    while (done := found[-1].stop if found else 0) < len(sizes):
        first = done - len(found[-1]) // _WINDOW_PER_OVERLAP if found else 0
        # A large unit behind may leave no room for all of the overlap.
        while (last := _end(ends, first, room, most)) <= done:
            first += 1
        found.append(range(first, last))
    return found


def _end(ends: NDArray[np.int64], first: int, room: int, most: int | None) -> int:
    """Return one past the last unit of the window that begins at `first`."""
    fitting = int(np.searchsorted(ends, ends[first] + room, side="right")) - 1
    last = fitting if most is None else min(fitting, first + most)
    return max(last, first + 1)


class Found(NamedTuple):
    """What was found in a window.

    Attributes:
        start: the window's first character.
        end: one past its last character.
        spans: what was found between them.

    """

    start: int
    end: int
    spans: Sequence[Span]


class _Candidate(NamedTuple):
    window: int
    cut: bool
    span: Span


def merged(found: Sequence[Found], rules: Rules) -> list[Span]:
    """Join the spans of windows, ordered by start.

    Of spans from different windows that exclude each other, one that lies whole in its window
    wins over one that may be cut, then the better score; of cut ones the longer.
    """
    kept: list[Span] = []
    shared: list[list[Span]] = [[] for _ in found]
    for window, cut, span in _ranked(list(_candidates(found))):
        # Windows overlap their neighbours only, and most spans lie where they do not.
        sides = [side for side in _neighbours(window, found) if _reaches(span, found[side])]
        rivals = itertools.chain(*(shared[side] for side in sides))
        if any(span.overlaps(other) and (cut or rules.exclude(span, other)) for other in rivals):
            continue
        kept.append(span)
        if sides:
            shared[window].append(span)
    return sorted(kept, key=lambda span: span.start)


def _neighbours(window: int, found: Sequence[Found]) -> Iterator[int]:
    return (side for side in (window - 1, window + 1) if 0 <= side < len(found))


def _reaches(span: Span, window: Found) -> bool:
    return span.start < window.end and window.start < span.end


def _candidates(found: Sequence[Found]) -> Iterator[_Candidate]:
    for window, (start, end, spans) in enumerate(found):
        inner_start = start if window > 0 else -1
        inner_end = end if window < len(found) - 1 else end + 1
        for span in spans:
            cut = span.start <= inner_start or span.end >= inner_end
            yield _Candidate(window, cut, span)


def _ranked(candidates: Sequence[_Candidate]) -> Iterator[_Candidate]:
    # Nobody else runs while Python sorts a book's; numpy does it in a tenth of the time.
    ranks = np.fromiter(map(_rank, candidates), np.dtype((np.float64, 3)), len(candidates))
    for place in np.lexsort(ranks.T[::-1]):
        yield candidates[place]


def _rank(candidate: _Candidate) -> tuple[bool, int, float]:
    span = candidate.span
    return candidate.cut, span.start - span.end if candidate.cut else 0, -span.score
