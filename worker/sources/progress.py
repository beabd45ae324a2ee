"""How far a fetch has come, seen from other threads."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)

_LOG_EVERY_S = 5.0


class FetchCancelledError(Exception):
    """Nobody wants the files any more."""


class Progress:
    """Counts bytes, logs them now and then, and carries the wish to stop.

    Args:
        label: what is fetched, for the log.

    """

    def __init__(self, label: str = "") -> None:
        self._label = label
        self._logged = time.monotonic()
        self.done_bytes = 0
        self.total_bytes = 0
        self.cancelled = False

    def expect(self, total_bytes: int) -> None:
        """Begin anew with what is to come."""
        self.done_bytes, self.total_bytes = 0, total_bytes

    def add(self, count: int) -> None:
        """Count bytes that have come, or negative ones that were thrown away.

        Raises:
            FetchCancelledError: see `cancelled`.

        """
        self.check()
        self.done_bytes += count
        now = time.monotonic()
        if now - self._logged >= _LOG_EVERY_S:
            self._logged = now
            fields = {"model": self._label, "done": self.done_bytes, "total": self.total_bytes}
            log.info("fetching", extra={"fields": fields})

    def check(self) -> None:
        """Raise FetchCancelledError if the fetch is to stop."""
        if self.cancelled:
            raise FetchCancelledError(self._label)
