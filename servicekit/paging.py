"""Pages of a list whose tokens are the last name of the page before."""

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

MAX_PAGE_SIZE = 1000


class Page(NamedTuple):
    """Names in order, and the token of the next page; empty if there is none."""

    names: list[str]
    next_page_token: str


def page_of(names: Iterable[str], page_token: str, page_size: int) -> Page:
    """The page behind a token.

    Args:
        names: of everything.
        page_token: as the page before gave it; empty: the first page.
        page_size: at most so many; 0: as many as a page may have.
    """
    ordered = sorted(names)
    start = bisect_right(ordered, page_token)
    page = ordered[start : start + min(page_size or MAX_PAGE_SIZE, MAX_PAGE_SIZE)]
    return Page(page, page[-1] if start + len(page) < len(ordered) else "")
