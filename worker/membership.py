"""Which pool the worker belongs to, and the change from one to another.

    registry watch ─► pool that lists this worker, else `default`
                            │ differs
                            ▼
    offers of the new lane ─► consumers re-pointed ─► heartbeat names the new pool

What was pulled from the old lane is finished beside the new lane's work. The heartbeat comes
last, so that the cluster sends work here only when it is pulled.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from servicekit import subjects
from servicekit.defaults import DEFAULT_POOL
from servicekit.pools import assignments
from servicekit.registry_view import RegistryView
from servicekit.subjects import Lane
from sie.worker.v1.adoption_pb2 import AdoptionAnswer, AdoptionOffer
from worker.heartbeat import Heartbeat
from worker.hosting.host import ModelHost

log = logging.getLogger(__name__)

_RETRY_S = 1.0


class Membership:
    """Keeps the worker in its pool, and answers the offers of its lane.

    Args:
        client: connection to the broker.
        lane: where it starts.
        worker_id: who it is.
        dedicated: it stays where it starts.
        host: its models.
        heartbeat: what tells the cluster.
        view: the registry.

    """

    def __init__(
        self,
        client: Client,
        lane: Lane,
        worker_id: str,
        host: ModelHost,
        heartbeat: Heartbeat,
        view: RegistryView,
        *,
        dedicated: bool,
    ) -> None:
        self._nats = client
        self._lane = lane
        self._worker_id = worker_id
        self._dedicated = dedicated
        self._host = host
        self._heartbeat = heartbeat
        self._view = view
        self._changed = asyncio.Event()
        self._offers: list[Subscription] = []

    async def start(self) -> None:
        """Enter the pool that the registry names now, and hear its offers."""
        self._view.subscribe(lambda _: self._changed.set())
        await self._enter(self._assigned())

    async def run(self) -> None:
        """Follow the registry until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            lane = self._assigned()
            if lane == self._lane:
                continue
            try:
                await self._enter(lane)
            except NatsError as error:
                log.warning("change of pool is tried again: %s", error or type(error).__name__)
                self._changed.set()
                await asyncio.sleep(_RETRY_S)

    async def leave(self) -> None:
        """Hear no offers any more."""
        while self._offers:
            # A subscription of a connection that was lost is gone already.
            with suppress(NatsError):
                await self._offers.pop().unsubscribe()

    def _assigned(self) -> Lane:
        if self._dedicated:
            return self._lane
        assigned = assignments(self._view.pools.values())
        return self._lane._replace(pool=assigned.get(self._worker_id, DEFAULT_POOL))

    async def _enter(self, lane: Lane) -> None:
        fields = {"lane": str(lane), "left": str(self._lane)}
        await self.leave()
        for subject, group in (
            (subjects.adoption(lane), subjects.ADOPTION_QUEUE_GROUP),
            (subjects.adoption(lane, self._worker_id), ""),
        ):
            self._offers.append(await self._nats.subscribe(subject, queue=group, cb=self._on_offer))
        await self._host.move(lane)
        self._lane = lane
        self._heartbeat.set_pool(lane.pool)
        log.info("in pool", extra={"fields": fields})

    async def _on_offer(self, message: Msg) -> None:
        offer = AdoptionOffer.FromString(message.data)
        model = self._view.models.get(offer.model_id)
        reason = "the registry has no such model" if model is None else self._host.adopt(model)
        answer = AdoptionAnswer(worker_id=self._worker_id, accepted=not reason, reason=reason)
        await message.respond(answer.SerializeToString())
