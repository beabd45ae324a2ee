"""What choosing a batch looks at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar


class Sized(Protocol):
    """A text that waits."""

    @property
    def tokens(self) -> int:
        """Length in tokens, at least 1."""

    @property
    def arrived(self) -> float:
        """When it came, in seconds; only compared."""


T = TypeVar("T", bound=Sized)
Order = Callable[[T], tuple[float, ...]]
"""Says whose turn it is: least first."""


def by_arrival(text: Sized) -> tuple[float, ...]:
    return (text.arrived,)
