"""The work queues of pools come and go with their pools.

    pool created ─► queue made ─► … ─► pool deleted ─► what workers hold is finished
                                                            ▼
                      queue deleted ◄─ what waits is answered ◄─ sealed: takes nothing more

Nothing is lost silently. Workers finish what they have pulled; what no worker has pulled is
answered with POOL_NOT_FOUND, which is also what trying again would say. A sealed queue
refuses what a gateway with an older view still publishes, so the caller hears of that, too.
Cut off anywhere, the next round goes on: answers may be given twice, and gateways take one.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress

import orjson
from google.protobuf.message import DecodeError
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from config_service.answers import answer
from config_service.streams import REQUEST_TIMEOUT_S, Streams
from servicekit.defaults import DEFAULT_POOL
from servicekit.pools import pool_not_found
from servicekit.subjects import WORK_PREFIX, work_stream
from sie.work.v1.work_item_pb2 import WorkItem

log = logging.getLogger(__name__)

# Workers pull what they compute in a fraction of a second. What is still held after this long is
# most likely held by a worker that died.
FINISH_WITHIN_S = 5.0
# A long queue must not keep other pools from their workers.
_ANSWERS_A_ROUND = 1000

_STREAM_NAMES = "$JS.API.STREAM.NAMES"
_PREFIX = work_stream("")


class PoolStreams:
    """Makes the queues of pools that exist, and ends those of pools that do not.

    Args:
        client: connection to the broker.
        streams: makes streams.
        clock: seconds, monotonic.
    """

    def __init__(self, client: Client, streams: Streams, clock: Callable[[], float]) -> None:
        self._client = client
        self._js = client.jetstream(timeout=REQUEST_TIMEOUT_S)
        self._streams = streams
        self._clock = clock
        self._ensured: set[str] = set()
        self._orphan_since: dict[str, float] = {}
        # By pool: how far what waits in its sealed queue has been answered.
        self._answered: dict[str, int] = {}
        # A queue that is made while it is ended would be neither.
        self._one_at_a_time = asyncio.Lock()

    async def follow(self, pools: Iterable[str]) -> list[str]:
        """Makes the queues that are missing, and returns the pools whose queue is left over.

        Args:
            pools: all that exist beside `default`.

        Raises:
            nats.errors.Error: the broker is away or refuses.
        """
        wanted = set(pools) - {DEFAULT_POOL}
        there = {name async for name in self._names()} - {DEFAULT_POOL}
        # Once for each process, those that are there are brought up to date.
        self._ensured &= wanted & there
        self._answered = {pool: n for pool, n in self._answered.items() if pool in there}
        for pool in sorted(wanted - self._ensured):
            await self.ensure(pool)
        return sorted(there - wanted)

    async def end(self, pools: Iterable[str]) -> None:
        """Ends the queues of pools that are gone, as soon as workers hold nothing of them.

        Raises:
            nats.errors.Error: the broker is away or refuses.
        """
        now = self._clock()
        self._orphan_since = {pool: self._orphan_since.get(pool, now) for pool in pools}
        for pool, since in self._orphan_since.items():
            async with self._one_at_a_time:
                await self._end(pool, overdue=now - since > FINISH_WITHIN_S)

    async def ensure(self, pool: str) -> None:
        """Makes the queue of a pool.

        Raises:
            nats.errors.Error: the broker is away or refuses.
        """
        async with self._one_at_a_time:
            with suppress(NotFoundError):
                info = await self._js.stream_info(work_stream(pool))
                if info.config.sealed:
                    # Of an earlier pool of this name, whose end was cut off.
                    while not await self._finish(pool, info.state.first_seq):
                        pass
            await self._streams.ensure_pool(pool)
            self._ensured.add(pool)

    async def _names(self) -> AsyncIterator[str]:
        """Pools that have a queue."""
        seen, total = 0, 1
        while seen < total:
            request = {"offset": seen, "subject": f"{WORK_PREFIX}.>"}
            reply = await self._client.request(
                _STREAM_NAMES, orjson.dumps(request), timeout=REQUEST_TIMEOUT_S
            )
            page = orjson.loads(reply.data)
            names, total = page.get("streams") or [], page.get("total", 0)
            for name in names:
                if name.startswith(_PREFIX):
                    yield name.removeprefix(_PREFIX)
            seen += len(names) or total

    async def _end(self, pool: str, *, overdue: bool) -> None:
        stream = work_stream(pool)
        with suppress(NotFoundError):
            info = await self._js.stream_info(stream)
            if not info.config.sealed:
                if not overdue and await self._in_hand(stream):
                    return
                info.config.sealed = True
                info = await self._js.update_stream(info.config)
            await self._finish(pool, info.state.first_seq)

    async def _in_hand(self, stream: str) -> bool:
        """Whether a worker has pulled work that it has not acknowledged."""
        return any(info.num_ack_pending for info in await self._js.consumers_info(stream))

    async def _finish(self, pool: str, first: int) -> bool:
        """Answers some of what waits in a sealed queue; deletes it and is True behind the last."""
        stream, error = work_stream(pool), pool_not_found(pool)
        start = max(first, self._answered.get(pool, 0) + 1)
        answered = 0
        async for sequence, item in self._waiting(stream, start):
            await answer(self._client, item, error)
            self._answered[pool] = sequence
            answered += 1
            if answered == _ANSWERS_A_ROUND:
                return False
        with suppress(NotFoundError):
            await self._js.delete_stream(stream)
        self._answered.pop(pool, None)
        log.info("work queue deleted", extra={"fields": {"pool": pool, "answered": answered}})
        return True

    async def _waiting(self, stream: str, sequence: int) -> AsyncIterator[tuple[int, WorkItem]]:
        while True:
            try:
                message = await self._js.get_msg(stream, sequence, ">", next=True)
            except NotFoundError:
                return
            sequence = message.seq or sequence
            try:
                yield sequence, WorkItem.FromString(message.data or b"")
            except DecodeError:
                log.warning("unreadable work item", extra={"fields": {"stream": stream}})
            sequence += 1
