"""Running until told to stop, and stopping: a first signal drains, a second one ends at once."""

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)

# Long enough for a task to put things in order once it is told.
_CANCEL_EVERY_S = 2.0


async def until_signal(*tasks: asyncio.Task[None]) -> None:
    """Returns at the first SIGTERM or SIGINT. A second one ends the process immediately.

    Args:
        tasks: what the process is worth nothing without.

    Raises:
        Exception: what a task raised; nothing else would tell that it runs no more.
    """
    # What a start has made lasts until the end: no collection of garbage needs to look at it.
    gc.freeze()
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        log.info("stopping: finishing accepted work", extra={"fields": {"signal": number}})
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    signalled = asyncio.create_task(stop.wait())
    pending: set[asyncio.Task[Any]] = {signalled, *tasks}
    try:
        while not signalled.done():
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        signalled.cancel()


async def run_until_signal(*jobs: Coroutine[None, None, None]) -> None:
    """Runs jobs until the first signal, and then ends them; raises as `until_signal` does."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        await until_signal(*tasks)
    finally:
        await end(*tasks)


async def end(*tasks: asyncio.Future[Any]) -> None:
    """Cancels tasks until they have ended, in whichever way.

    Once is not enough: up to Python 3.11 asyncio.wait_for, of which libraries make use, forgets a
    cancellation that comes together with its result.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_CANCEL_EVERY_S)
    await asyncio.gather(*tasks, return_exceptions=True)
