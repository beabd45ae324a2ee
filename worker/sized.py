"""What choosing a batch looks at."""

from __future__ import annotations

from typing import Protocol


class Sized(Protocol):
    """A text that waits."""

    @property
    def tokens(self) -> int:
        """Length in tokens, at least 1."""

    @property
    def arrived(self) -> float:
        """When it came, in seconds; only compared."""
