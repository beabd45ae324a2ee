"""A batch in the hands of one runner.

Every write is a compare-and-set on the record, and counts as a sign of life. Others take the
batch over when the record has not changed for a lease's length, which each of them measures on
its own clock. A runner that was only slow finds another's name in the record at its next
write, and stops.
"""

import asyncio
import contextlib
import logging
import random
import secrets
from collections.abc import Callable

from gateway.batches.records import Conflict, Key, Records
from servicekit.errors import SieError
from sie.batch.v1.batch_pb2 import BatchStatus
from sie.batch.v1.record_pb2 import BatchRecord

log = logging.getLogger(__name__)

Change = Callable[[BatchRecord], None]

_RETRY_S = (0.2, 2.0)


class HoldLostError(Exception):
    """Another runner has the batch, or it is gone."""


class Hold:
    """The record of a batch, as its runner sees it.

    Args:
        records: where it is kept.
        key: its key.
        record: as it was written when this runner took it.
        revision: of that.
        on_change: called with the record before and after each change that was seen written.
    """

    def __init__(
        self,
        records: Records,
        key: Key,
        record: BatchRecord,
        revision: int,
        on_change: Callable[[BatchRecord, BatchRecord], None] = lambda _before, _after: None,
    ) -> None:
        self._records = records
        self._key = key
        self._revision = revision
        self._on_change = on_change
        self._turn = asyncio.Lock()
        self._cancelling = asyncio.Event()
        self.record = record

    @property
    def tenant(self) -> str:
        return self._key.tenant

    @property
    def is_cancelling(self) -> bool:
        """Whether the tenant has told the batch to stop."""
        return self.record.batch.status == BatchStatus.BATCH_STATUS_CANCELLING

    async def pause(self, seconds: float) -> None:
        """Waits, or returns as soon as the tenant has told the batch to stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._cancelling.wait()

    async def commit(self, change: Change) -> None:
        """Changes the record, however long the broker is away.

        Args:
            change: made to a copy; again if the tenant has changed the record meanwhile.

        Raises:
            HoldLostError: another runner has the batch, or it is gone.
        """
        async with self._turn:
            done = await self._attempt(change)
            while not done:
                await asyncio.sleep(random.uniform(*_RETRY_S))  # noqa: S311 - no secret
                done = await self._attempt(change)

    async def beat(self) -> None:
        """Shows that the runner lives, and learns whether the batch is to stop."""
        await self.commit(lambda _: None)

    async def release(self) -> None:
        """Lets the next runner take the batch at once."""

        def without_runner(record: BatchRecord) -> None:
            record.runner = ""

        await self.commit(without_runner)

    async def _attempt(self, change: Change) -> bool:
        after = BatchRecord()
        after.CopyFrom(self.record)
        change(after)
        after.beat = secrets.randbits(32)
        try:
            revision = await self._records.update(
                self._key, after.SerializeToString(), self._revision
            )
        except Conflict:
            return await self._reread(after)
        except SieError as error:
            log.info("batch not written: %s", error, extra={"fields": {"batch": self._key.id}})
            return False
        self._saw(after, revision)
        return True

    async def _reread(self, after: BatchRecord) -> bool:
        """Takes on what stands there.

        Returns:
            Whether that is what was written: the broker's acknowledgement can get lost.
        """
        try:
            found = await self._records.read(self._key)
        except SieError:
            return False
        if found is None:
            raise HoldLostError
        record, revision = BatchRecord.FromString(found[0]), found[1]
        if (record.runner, record.epoch) != (self.record.runner, self.record.epoch):
            raise HoldLostError
        self._saw(record, revision)
        return record.beat == after.beat

    def _saw(self, record: BatchRecord, revision: int) -> None:
        before, self.record, self._revision = self.record, record, revision
        if self.is_cancelling:
            self._cancelling.set()
        self._on_change(before, record)
