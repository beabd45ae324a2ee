"""Keeping the broker as it should be: streams there, store and registry in step.

    at start ──┐
    reconnect ─┼─► ensure streams ─► catch up with the store ─► seed ─► healthy, or why not
    every 5 s ─┘

One idempotent round does for a first start, for a broker that came back with nothing in
its memory, and for another config service that wrote meanwhile.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

import nats.errors

from servicekit.errors import SieError

log = logging.getLogger(__name__)

INTERVAL_S = 5.0
RETRY_S = 0.5

_STOPPING = "stopping"

Step = Callable[[], Awaitable[None]]


class Upkeep:
    """Repeats its steps, and knows whether they went well.

    Args:
        on_change: told when health changes.
        interval_s: seconds between rounds that went well.
    """

    def __init__(
        self, on_change: Callable[[bool], Awaitable[None]], interval_s: float = INTERVAL_S
    ) -> None:
        self._steps: tuple[Step, ...] = ()
        self._on_change = on_change
        self._interval_s = interval_s
        self._due = asyncio.Event()
        self.problem: str | None = "starting"

    def keep(self, *steps: Step) -> None:
        """What a round does, in order; each step may fail with a broker's error or SieError."""
        self._steps = steps

    async def wake(self) -> None:
        """Asks for a round now."""
        self._due.set()

    async def lost(self) -> None:
        """The broker is away: unhealthy until a round goes well again."""
        await self._set("the broker is away")

    def stopping(self) -> None:
        """The process is going: unhealthy from here on."""
        self.problem = _STOPPING

    async def first_round(self) -> None:
        """Returns when a round has gone well."""
        while not await self._round():
            await self._pause(RETRY_S)

    async def run(self) -> None:
        """Rounds until cancelled."""
        while True:
            healthy = await self._round()
            await self._pause(self._interval_s if healthy else RETRY_S)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._due.wait()

    async def _round(self) -> bool:
        self._due.clear()
        try:
            for step in self._steps:
                await step()
        except (SieError, nats.errors.Error, TimeoutError) as error:
            await self._set(str(error) or type(error).__name__)
            return False
        await self._set(None)
        return True

    async def _set(self, problem: str | None) -> None:
        if self.problem == _STOPPING:
            return
        before, self.problem = self.problem, problem
        if problem and problem != before:
            log.warning("config service is not ready: %s", problem)
        if bool(problem) != bool(before):
            await self._on_change(problem is None)
