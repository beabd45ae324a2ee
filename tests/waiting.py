"""Waiting in tests: for what holds sooner or later, and only as long as it may still come."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# How long is no claim of any test: a machine may do other things beside.
PATIENCE_S = 60.0
_POLL_S = 0.03


def until(condition: Callable[[], T], seconds: float = PATIENCE_S, wanted: str = "it") -> T:
    """Asks again and again; returns the first answer that is true.

    Args:
        condition: what is waited for.
        seconds: after which it is waited for in vain.
        wanted: what that is, for the message.

    Raises:
        AssertionError: there was none.
    """
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {wanted}"
        time.sleep(_POLL_S)
    return answer


async def eventually(condition: Callable[[], object], wanted: str = "it") -> None:
    """Returns when a condition holds, while the event loop goes on.

    Raises:
        AssertionError: it does not within a minute.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S:g} s in vain for {wanted}"
        await asyncio.sleep(_POLL_S)
