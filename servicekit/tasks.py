"""Work that goes on beside whoever started it."""

import asyncio
from collections.abc import Coroutine


class Tasks:
    """Tasks of one owner: kept from the garbage collector until they end."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Starts a task."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def finish(self) -> None:
        """Waits until every task has ended, well or not."""
        await asyncio.gather(*self._running, return_exceptions=True)
