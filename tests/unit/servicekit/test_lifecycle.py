"""Tasks that are to end do, also those that miss that they were told."""

import asyncio
import signal

import pytest

from servicekit import lifecycle


async def test_a_task_that_forgets_a_cancellation_is_told_again(monkeypatch):
    monkeypatch.setattr(lifecycle, "_CANCEL_EVERY_S", 0.01)
    told = []

    async def forgetful():
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                told.append(1)
                if len(told) == 3:
                    raise

    async def failing():
        raise ValueError("of no interest")

    tasks = [asyncio.create_task(forgetful()), asyncio.create_task(failing())]
    await asyncio.sleep(0)
    await lifecycle.end(*tasks)
    assert [task.done() for task in tasks] == [True, True]
    assert len(told) == 3


async def test_endless_work_that_fails_ends_the_wait_for_a_signal():
    async def forever():
        await asyncio.Event().wait()

    async def failing():
        raise ValueError("of interest")

    tasks = [asyncio.create_task(forever()), asyncio.create_task(failing())]
    with pytest.raises(ValueError, match="of interest"):
        await asyncio.wait_for(lifecycle.until_signal(*tasks), 30)
    await lifecycle.end(*tasks)


async def test_a_signal_ends_the_wait_and_nothing_else():
    async def forever():
        await asyncio.Event().wait()

    task = asyncio.create_task(forever())
    asyncio.get_running_loop().call_later(0.05, signal.raise_signal, signal.SIGTERM)
    await asyncio.wait_for(lifecycle.until_signal(task), 30)
    assert not task.done()
    await lifecycle.end(task)


async def test_nothing_to_end_is_at_an_end():
    await lifecycle.end()


async def test_jobs_run_until_a_signal():
    ended = []

    async def endless():
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(1)

    running = asyncio.create_task(lifecycle.run_until_signal(endless(), asyncio.sleep(0)))
    await asyncio.sleep(0.05)
    assert not running.done()
    signal.raise_signal(signal.SIGTERM)
    async with asyncio.timeout(30):
        await running
    assert ended == [1]


async def test_a_job_that_fails_ends_the_others_and_is_told_of():
    async def failing():
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        await asyncio.wait_for(lifecycle.run_until_signal(asyncio.sleep(60), failing()), 30)
