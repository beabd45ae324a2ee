"""Memory for the next model, or for a run that has none: carries out what placement decides."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection

from worker.hosting.loader import Cost
from worker.hosting.memory import release_unused
from worker.hosting.placement import Evict, Fits, Limits, Refuse, Resident, Wait, place, spare
from worker.load_errors import ErrorClass, LoadError

_POLL_S = 0.25


class Room:
    """The memory that models share.

    Args:
        limits: how much there is.
        residents: the models that take some now.
        release: lets one of them go, for a reason, and returns when it is gone.

    """

    def __init__(
        self,
        limits: Limits,
        residents: Callable[[], Collection[Resident]],
        release: Callable[[str, str], Awaitable[None]],
    ) -> None:
        self._limits = limits
        self._residents = residents
        self._release = release

    async def make(self, cost: Cost) -> None:
        """Evict models until there is room, or wait until that may be done.

        Raises:
            LoadError: there will never be room.

        """
        budget = self._limits.budget_bytes
        if budget and cost.weights_bytes > budget:
            raise _too_large(f"its weights are {cost.weights_bytes} bytes, the budget is {budget}")
        while True:
            now = time.monotonic()
            match place(self._residents(), cost.memory_bytes, now, self._limits):
                case Fits():
                    return
                case Evict(model_ids):
                    await asyncio.gather(*(self._release(each, "evicted") for each in model_ids))
                case Wait(until):
                    await asyncio.sleep(min(_POLL_S, until - now))
                case Refuse(free_bytes):
                    raise _too_large(
                        f"it takes {cost.memory_bytes} bytes, and pinned models leave {free_bytes}"
                    )

    async def relieve(self) -> None:
        """Get memory back for a run that ran out of it."""
        model_id = spare(self._residents())
        if model_id is not None:
            await self._release(model_id, "out of memory")
        await asyncio.to_thread(release_unused)


def _too_large(problem: str) -> LoadError:
    return LoadError(problem, ErrorClass.OOM)
