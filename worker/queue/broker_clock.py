"""How long work has waited, by the broker's clock alone.

    stored   the broker stamps each message with its clock
    now      what that clock showed when it was last asked, and what has passed here since

A work item says how much time it has from its publication, and the broker when that was; so
nothing is dropped too early, or computed for nobody, because a clock is wrong on some machine.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Callable

import orjson
from nats.aio.client import Client
from nats.errors import Error as NatsError

from servicekit.defaults import DEFAULT_POOL
from servicekit.subjects import work_stream

log = logging.getLogger(__name__)

# Soon enough for a broker whose own clock is set.
_EVERY_S = 5.0
_TIMEOUT_S = 2.0
_WORTH_SAYING_S = 1.0
# A stream that is always there; what is known of it tells the broker's time.
_SUBJECT = f"$JS.API.STREAM.INFO.{work_stream(DEFAULT_POOL)}"


class BrokerClock:
    """The broker's clock.

    Args:
        client: connection to the broker.
        monotonic: seconds.

    """

    def __init__(self, client: Client, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._nats = client
        self._monotonic = monotonic
        # Our own has to do until the broker was asked.
        self._offset = time.time() - monotonic()

    def age_s(self, stored: dt.datetime) -> float:
        """Return how long ago the broker stored a message, never too long."""
        return max(0.0, self._monotonic() + self._offset - stored.timestamp())

    async def run(self) -> None:
        """Ask again and again until cancelled."""
        while True:
            await self.ask()
            await asyncio.sleep(_EVERY_S)

    async def ask(self) -> None:
        """Ask the broker for its time. What was known stands where there is no answer."""
        try:
            reply = await self._nats.request(_SUBJECT, b"", timeout=_TIMEOUT_S)
        except (NatsError, TimeoutError) as error:
            log.debug("the broker did not tell its time: %s", error or type(error).__name__)
            return
        told = orjson.loads(reply.data).get("ts")
        if told is None:
            return  # The stream is not there yet.
        # As if the answer had taken no time, so that no age is too long.
        offset = dt.datetime.fromisoformat(told).timestamp() - self._monotonic()
        if abs(offset - self._offset) > _WORTH_SAYING_S:
            log.info("the broker's clock differs by %.1f s", offset - self._offset)
        self._offset = offset
