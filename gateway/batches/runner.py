"""Takes batches that nobody runs, and runs them: a part of every gateway."""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from gateway.batches.hold import Hold, HoldLostError
from gateway.batches.job import BatchJob
from gateway.batches.metrics import BatchMetrics
from gateway.batches.outcome import ENDED
from gateway.batches.records import Conflict, Key, Records
from servicekit.errors import SieError
from servicekit.lifecycle import end
from sie.batch.v1.batch_pb2 import BatchStatus
from sie.batch.v1.record_pb2 import BatchRecord

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
# Signs of life in the length of a lease.
_BEATS = 4
_POSTPONED_S = 15.0
# Batches in hand for each that may be computed at a time, so that some which wait for workers
# keep no others from those that are there.
_STALLED_BESIDE = 8


class _Sighting(NamedTuple):
    revision: int
    since: float


class _Running(NamedTuple):
    task: asyncio.Task[None]
    hold: Hold
    job: BatchJob


class Runner:
    """Runs batches.

    Args:
        records: of all batches.
        metrics: count what becomes of them.
        runner_id: unique among gateways.
        lease_s: a batch whose record stays the same for so long is nobody's. Seconds.
        most_jobs: at a time, beside some whose requests find no capacity; 0: none ever.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        records: Records,
        metrics: BatchMetrics,
        *,
        runner_id: str,
        lease_s: float,
        most_jobs: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._records = records
        self._metrics = metrics
        self._runner_id = runner_id
        self._lease_s = lease_s
        self._most_jobs = most_jobs
        self._clock = clock
        self._sightings: dict[Key, _Sighting] = {}
        self._postponed: dict[Key, float] = {}
        self._jobs: dict[Key, _Running] = {}
        self._unended: Sequence[Key] = ()
        self._woken = asyncio.Event()

    def unended(self) -> Sequence[Key]:
        """Batches that had not ended, of all gateways, when this one last looked."""
        return self._unended

    def running(self) -> Iterator[BatchStatus]:
        """How far those are that it runs."""
        return (job.hold.record.batch.status for job in self._jobs.values())

    def wake(self) -> None:
        """There is a new batch."""
        self._woken.set()

    async def run(self, job_of: Callable[[Hold], BatchJob]) -> None:
        """Looks for batches until it is cancelled; then lets go of those it has.

        Args:
            job_of: what runs the batch of a hold.
        """
        try:
            while self._most_jobs:
                await self._look(job_of)
                self._woken.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_EVERY_S):
                        await self._woken.wait()
        finally:
            await end(*(job.task for job in self._jobs.values()))

    async def _look(self, job_of: Callable[[Hold], BatchJob]) -> None:
        try:
            keys = self._unended = await self._records.keys("active")
            self._forget_all_but(keys)
            for key in self._in_turn(keys):
                if not self._has_room():
                    break
                await self._try(key, job_of)
        except SieError as error:
            log.debug("batches not looked at: %s", error)
        except Exception:
            # Whatever it is, it must not be the last look.
            log.exception("batches not looked at")

    async def _try(self, key: Key, job_of: Callable[[Hold], BatchJob]) -> None:
        """Begins a batch if it is free; one that cannot be read keeps no other from its turn."""
        try:
            if (hold := await self._take(key)) is not None:
                self._begin(key, hold, job_of(hold))
        except SieError:
            raise
        except Exception:
            log.exception("batch cannot be taken", extra={"fields": {"batch": key.id}})
            self._postponed[key] = self._clock() + _POSTPONED_S

    def _has_room(self) -> bool:
        computing = sum(not running.job.is_stalled for running in self._jobs.values())
        most = self._most_jobs
        return computing < most and len(self._jobs) < most * _STALLED_BESIDE

    def _forget_all_but(self, keys: list[Key]) -> None:
        known = set(keys)
        for table in (self._sightings, self._postponed):
            for key in [key for key in table if key not in known]:
                del table[key]

    def _in_turn(self, keys: list[Key]) -> list[Key]:
        """Those that may be free: first of tenants with the fewest here, the oldest first."""
        running = Counter(key.tenant for key in self._jobs)
        now = self._clock()
        free = [
            key for key in keys if key not in self._jobs and self._postponed.get(key, 0.0) <= now
        ]
        return sorted(free, key=lambda key: (running[key.tenant], key.id))

    async def _take(self, active: Key) -> Hold | None:
        """The batch in this runner's hands, if it was free."""
        key = active._replace(kind="batch")
        found = await self._records.read(key)
        if found is None:
            # Its creator is about to write the record, or died before.
            if self._has_stood(active, 0):
                await self._records.remove(active)
            return None
        record, revision = BatchRecord.FromString(found[0]), found[1]
        if record.batch.status in ENDED:
            await self._records.remove(active)
            return None
        if record.runner and not self._has_stood(active, revision):
            return None
        return await self._claim(key, record, revision)

    def _has_stood(self, active: Key, revision: int) -> bool:
        """Whether a record has been the same for the length of a lease."""
        now = self._clock()
        sighting = self._sightings.get(active)
        if sighting is None or sighting.revision != revision:
            self._sightings[active] = _Sighting(revision, now)
            return False
        return now - sighting.since > self._lease_s

    async def _claim(self, key: Key, record: BatchRecord, revision: int) -> Hold | None:
        record.runner = self._runner_id
        record.epoch += 1
        try:
            revision = await self._records.update(key, record.SerializeToString(), revision)
        except Conflict:
            return None
        log.info("batch taken", extra={"fields": {"batch": key.id, "epoch": record.epoch}})
        return Hold(self._records, key, record, revision, self._metrics.changed)

    def _begin(self, active: Key, hold: Hold, job: BatchJob) -> None:
        task = asyncio.create_task(self._run(active, hold, job))
        self._jobs[active] = _Running(task, hold, job)
        task.add_done_callback(lambda _: self._end(active))

    def _end(self, active: Key) -> None:
        del self._jobs[active]
        self.wake()

    async def _run(self, active: Key, hold: Hold, job: BatchJob) -> None:
        try:
            await self._work(hold, job)
            await self._records.remove(active)
        except asyncio.CancelledError:
            with contextlib.suppress(HoldLostError):
                await hold.release()
            raise
        except HoldLostError:
            log.info("batch lost to another runner", extra={"fields": {"batch": active.id}})
        except SieError as error:
            log.warning("batch postponed: %s", error, extra={"fields": {"batch": active.id}})
            await self._postpone(active, hold)
        except Exception:
            log.exception("batch postponed", extra={"fields": {"batch": active.id}})
            await self._postpone(active, hold)

    async def _postpone(self, active: Key, hold: Hold) -> None:
        self._postponed[active] = self._clock() + _POSTPONED_S
        with contextlib.suppress(HoldLostError):
            await hold.release()

    async def _work(self, hold: Hold, job: BatchJob) -> None:
        working = asyncio.create_task(job.run())
        beats = asyncio.create_task(self._beat(hold))
        try:
            await asyncio.wait([working, beats], return_when=asyncio.FIRST_COMPLETED)
            await (working if working.done() else beats)
        finally:
            await end(working, beats)

    async def _beat(self, hold: Hold) -> None:
        while True:
            await asyncio.sleep(self._lease_s / _BEATS)
            await hold.beat()
