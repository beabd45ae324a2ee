"""Ctrl-C in two steps: the first asks for an orderly end, a second one ends everything at once."""

import os
import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):  # noqa: N818 no error: somebody asked for it
    """The first signal came."""


class Interrupt:
    """Handles signals while it is entered.

    Args:
        on_first: tells the user that the end has begun.
        on_second: kills. The process exits right after it.
    """

    def __init__(self, on_first: Callable[[], None], on_second: Callable[[], None]) -> None:
        self._on_first = on_first
        self._on_second = on_second
        # A plain flag: locks, as threading.Event has them, can deadlock in a signal handler.
        self._came = False
        self._before: dict[int, Any] = {}

    def sleep(self, seconds: float) -> None:
        """Waits.

        Raises:
            Interrupted: a signal came, now or earlier.
        """
        time.sleep(seconds)
        if self._came:
            raise Interrupted

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._came:
            self._on_second()
            os._exit(128 + number)
        self._came = True
        self._on_first()

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
