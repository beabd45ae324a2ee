"""Tasks that are to end do, also those that miss that they were told."""

import asyncio

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


async def test_nothing_to_end_is_at_an_end():
    await lifecycle.end()
