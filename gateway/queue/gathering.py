"""The results of one request, as they come: in any order, and of some items more than once.

    items      0 1 2 3 4 5 6 7
    results    [-----] [-----]      answered once: what nearly always happens
               [-] [-]              and again, in other pieces, by whoever got it delivered twice

A result cannot be cut, so a request is whole when some of its results lie side by side from its
first item to its last. None is given up for another before that.
"""

from typing import Any


class Gathering:
    """Results by the run of items that they are of.

    Args:
        first: the request's first item.
        count: how many items it has.
    """

    def __init__(self, first: int, count: int) -> None:
        self._first, self._end = first, first + count
        self._by_start: dict[int, dict[int, Any]] = {}
        self._answered: set[int] = set()
        self._whole: list[Any] | None = None

    @property
    def remaining(self) -> int:
        """Items that have no result."""
        return self._end - self._first - len(self._answered)

    @property
    def chosen(self) -> list[Any]:
        """The results that make the request whole, in order; before that, some side by side."""
        return self._side_by_side() if self._whole is None else self._whole

    def add(self, result: Any) -> bool:
        """Takes a result in; returns whether the request is whole. From then on none is taken."""
        start, end = result.first_item, result.first_item + result.item_count
        if self._whole is not None or not self._first <= start < end <= self._end:
            return self._whole is not None
        if not self._answered and (start, end) == (self._first, self._end):
            self._whole = [result]
        known = self._by_start.setdefault(start, {})
        if end not in known or known[end].HasField("error"):
            known[end] = result
        self._answered.update(range(start, end))
        if self._whole is None and not self.remaining:
            found = self._side_by_side()
            if sum(each.item_count for each in found) == self._end - self._first:
                self._whole = found
        return self._whole is not None

    def lacks(self, first: int, count: int) -> bool:
        """Whether any of these items has no result."""
        return not self._answered.issuperset(range(first, first + count))

    def _side_by_side(self) -> list[Any]:
        """Results of which none overlaps another, of as many items as can be, in order."""
        alone = [each for ends in self._by_start.values() for each in ends.values()]
        if sum(each.item_count for each in alone) == len(self._answered):
            return sorted(alone, key=lambda each: each.first_item)
        return self._best()

    def _best(self) -> list[Any]:
        # From each item on: how many items can have a result, how many of them a good one, and
        # the first of the results by which they have.
        best: dict[int, tuple[int, int, Any]] = {self._end: (0, 0, None)}
        for start in range(self._end - 1, self._first - 1, -1):
            best[start] = (*best[start + 1][:2], None)
            for end, result in self._by_start.get(start, {}).items():
                good = 0 if result.HasField("error") else end - start
                candidate = (best[end][0] + end - start, best[end][1] + good, result)
                best[start] = max(best[start], candidate, key=lambda each: each[:2])
        found, at = [], self._first
        while at < self._end:
            result = best[at][2]
            at += 1 if result is None else result.item_count
            found += [] if result is None else [result]
        return found
