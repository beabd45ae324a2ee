"""What a day costs somebody who knows it beforehand: a bound to compare with, nobody waits."""

import numpy as np

from tests.autoscaling.traffic import ITEMS_PER_SECOND, Counts, Stream

_MINUTE_S = 60


def paid_s(stream: Stream, start_s: float) -> float:
    """Seconds of machines for one stream.

    Each worker is there for the minutes in which the work of that minute needs it, and was started
    just in time. One that is needed again before another could be started stays.

    Args:
        stream: with its lease, whose workers are there for all of it.
        start_s: that a start takes and that is paid for.
    """
    needed = needed_workers(stream)
    return sum(_slot_s(needed >= number, start_s) for number in range(1, int(needed.max()) + 1))


def needed_workers(stream: Stream) -> Counts:
    """Workers for the work of each minute."""
    seconds = len(stream.requests) // _MINUTE_S * _MINUTE_S
    items = stream.requests[:seconds].reshape(-1, _MINUTE_S).sum(axis=1) * stream.items
    needed = np.ceil(items / (ITEMS_PER_SECOND * _MINUTE_S)).astype(np.int64)
    begin, end = (second // _MINUTE_S for second in stream.lease)
    needed[begin:end] = np.maximum(needed[begin:end], 1)
    return needed


def _slot_s(busy: np.ndarray, start_s: float) -> float:
    """Seconds of one worker that is needed in some minutes."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], busy, [0]])))
    begins, ends = edges[::2], edges[1::2]
    gaps_s = (begins[1:] - ends[:-1]) * _MINUTE_S
    held = gaps_s[gaps_s <= start_s].sum()
    starts = len(begins) - np.count_nonzero(gaps_s <= start_s)
    return float(busy.sum() * _MINUTE_S + held + starts * start_s)
