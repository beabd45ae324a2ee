"""Many calls over one connection, of which a bounded number is in hand.

    jobs ── reader ── a task each ──► call
                │ room for `in_hand`   │
    answers ◄── queue, in the order asked for

An answer leaves its room when whoever consumes the answers comes for the next, so a client
that does not read its answers is not read from, and holds a bounded part of our memory.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Job(NamedTuple, Generic[T]):
    """One of the calls.

    Args:
        run: makes the call and gives its answer, whatever becomes of it.
        in_order: answered in its turn; else as soon as its answer is there.
    """

    run: Callable[[], Awaitable[T]]
    in_order: bool


async def answers(jobs: AsyncIterator[Job[T]], in_hand: int) -> AsyncGenerator[T]:
    """The answers of jobs that run side by side.

    Args:
        jobs: read while there is room.
        in_hand: jobs that run, or whose answers were not taken.

    Raises:
        Exception: what `jobs` raises, once every job before it has been answered.
    """
    stream: _Stream[T] = _Stream(in_hand)
    reader = asyncio.create_task(stream.read(jobs))
    try:
        while (answer := await stream.done.get()) is not None:
            yield await answer
            stream.room.release()
        await reader
    finally:
        reader.cancel()
        for task in stream.tasks:
            task.cancel()


class _Stream(Generic[T]):
    def __init__(self, in_hand: int) -> None:
        self.room = asyncio.Semaphore(in_hand)
        # None ends the stream.
        self.done: asyncio.Queue[asyncio.Future[T] | None] = asyncio.Queue()
        self.tasks: set[asyncio.Future[T]] = set()

    async def read(self, jobs: AsyncIterator[Job[T]]) -> None:
        try:
            async for job in jobs:
                await self.room.acquire()
                self._begin(job)
        finally:
            if self.tasks:
                await asyncio.wait(self.tasks)
            self.done.put_nowait(None)

    def _begin(self, job: Job[T]) -> None:
        task = asyncio.ensure_future(job.run())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        if job.in_order:
            self.done.put_nowait(task)
        else:
            task.add_done_callback(self.done.put_nowait)
