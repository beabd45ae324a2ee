"""Running until told to stop, and stopping: a first signal drains, a second one ends at once."""

import asyncio
import logging
import os
import signal
from typing import Any

log = logging.getLogger(__name__)

# Long enough for a task to put things in order once it is told.
_CANCEL_EVERY_S = 2.0


async def until_signal(*endless: asyncio.Task[None]) -> None:
    """Returns at the first SIGTERM or SIGINT. A second one ends the process immediately.

    Args:
        endless: what goes on until it is cancelled; a process without it is worth nothing.

    Raises:
        Exception: what ended one of the tasks.
        RuntimeError: one of them ended without an error.
    """
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
    try:
        done, _ = await asyncio.wait([signalled, *endless], return_when=asyncio.FIRST_COMPLETED)
    finally:
        signalled.cancel()
    for task in done & set(endless):
        task.result()
        raise RuntimeError(f"{task.get_coro()} has ended")


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
