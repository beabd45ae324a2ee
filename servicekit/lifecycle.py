"""Running until told to stop: the first signal drains, a second one ends at once."""

import asyncio
import logging
import os
import signal

log = logging.getLogger(__name__)


async def until_signal() -> None:
    """Returns at the first SIGTERM or SIGINT. A second one ends the process immediately."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        log.info("stopping: finishing accepted work", extra={"fields": {"signal": number}})
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    await stop.wait()
