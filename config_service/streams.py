"""The streams of the system and their limits. Nobody else creates or changes one.

    SIE_WORK_<pool>    sie.work.<pool>.>   work queue; refuses new work when full
    SIE_DEAD_LETTERS   sie.dead.>          work that was given up; the oldest goes when full
    OBJ_SIE_PAYLOADS   requests too large for a message; the object store's own layout
    OBJ_SIE_FILES      pieces of the files that batches read and write, likewise
    KV_SIE_BATCHES     what is known of batches and files; the key-value store's own layout
    SIE_ADVISORIES     broker's advisories of exhausted deliveries, until they are handled

A full work queue refuses (`discard: new`), and that refusal is the system's backpressure:
callers hear of it at once. The advisories are kept in a stream because the broker says
each of them once, and this process may be restarting just then.
"""

import logging
from dataclasses import dataclass

from nats.aio.client import Client
from nats.js import api
from nats.js.errors import BadRequestError

from servicekit.defaults import DEFAULT_POOL
from servicekit.payloads import FILES_TTL_S
from servicekit.payloads import TTL_S as PAYLOAD_TTL_S
from servicekit.subjects import (
    BATCHES_BUCKET,
    DEAD_LETTERS_STREAM,
    DEAD_PREFIX,
    FILES_BUCKET,
    PAYLOADS_BUCKET,
    work_stream,
    work_wildcard,
)

log = logging.getLogger(__name__)

ADVISORIES_STREAM = "SIE_ADVISORIES"
MAX_DELIVERIES_ADVISORIES = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>"

# A leased pool's queue is this share of the one of `default`: the broker sets aside the bytes of
# every stream, whether it holds anything or not.
_POOL_SHARE = 8

DUPLICATE_WINDOW_S = 120
# Nobody waits so long for a result; work that no lane ever took must not fill the queue.
MAX_WORK_AGE_S = 3600
REQUEST_TIMEOUT_S = 3.0

_NAME_IN_USE = 10058
_MIB = 1024 * 1024
_DEFAULT_MAX_BYTES = {"memory": 256 * _MIB, "file": 1024 * _MIB}


@dataclass(frozen=True)
class StreamLimits:
    """Bounds of each stream.

    Args:
        storage: `memory` or `file`.
        replicas: copies of each stream, 1 to 5.
        max_messages: most messages in a stream.
        max_bytes: most bytes in a stream; 0: 256 MiB in memory, 1 GiB in files.

    Raises:
        ValueError: a value is out of its bounds.
    """

    storage: str = "memory"
    replicas: int = 1
    max_messages: int = 100_000
    max_bytes: int = 0

    def __post_init__(self) -> None:
        if self.storage not in _DEFAULT_MAX_BYTES:
            raise ValueError(f"stream storage must be memory or file, not {self.storage!r}")
        if not 1 <= self.replicas <= 5:
            raise ValueError(f"stream replicas must be 1 to 5, not {self.replicas}")
        if self.max_messages < 1 or self.max_bytes < 0:
            raise ValueError("stream limits must be positive")

    @property
    def effective_max_bytes(self) -> int:
        return self.max_bytes or _DEFAULT_MAX_BYTES[self.storage]


class Streams:
    """Makes the broker's streams what they should be.

    Args:
        client: connection to the broker.
        limits: bounds of each stream.
    """

    def __init__(self, client: Client, limits: StreamLimits) -> None:
        self._js = client.jetstream(timeout=REQUEST_TIMEOUT_S)
        self._limits = limits

    async def ensure(self) -> None:
        """Creates the streams that are always there, or brings them up to date.

        Raises:
            nats.errors.Error: the broker is away or refuses.
        """
        shared = (
            self._dead_letters(),
            self._advisories(),
            self._objects(PAYLOADS_BUCKET, PAYLOAD_TTL_S),
            self._objects(FILES_BUCKET, FILES_TTL_S),
            self._batches(),
        )
        for config in (self._work(DEFAULT_POOL), *shared):
            await self._ensure(config)

    async def ensure_pool(self, pool: str) -> None:
        """Creates the work queue of a pool, or brings it up to date.

        Raises:
            nats.errors.Error: the broker is away or refuses.
        """
        await self._ensure(self._work(pool))

    async def _ensure(self, config: api.StreamConfig) -> None:
        try:
            # Creating a stream that is there already, just so, changes nothing.
            await self._js.add_stream(config)
        except BadRequestError as error:
            if error.err_code != _NAME_IN_USE:
                raise
            await self._js.update_stream(config)
            log.info("stream updated", extra={"fields": {"stream": config.name}})

    def _work(self, pool: str) -> api.StreamConfig:
        share = 1 if pool == DEFAULT_POOL else _POOL_SHARE
        return self._bounded(
            work_stream(pool),
            work_wildcard(pool),
            retention=api.RetentionPolicy.WORK_QUEUE,
            discard=api.DiscardPolicy.NEW,
            max_age=MAX_WORK_AGE_S,
            share=share,
        )

    def _dead_letters(self) -> api.StreamConfig:
        return self._bounded(
            DEAD_LETTERS_STREAM,
            f"{DEAD_PREFIX}.>",
            retention=api.RetentionPolicy.LIMITS,
            discard=api.DiscardPolicy.OLD,
        )

    def _advisories(self) -> api.StreamConfig:
        return self._bounded(
            ADVISORIES_STREAM,
            MAX_DELIVERIES_ADVISORIES,
            retention=api.RetentionPolicy.WORK_QUEUE,
            discard=api.DiscardPolicy.OLD,
            max_age=MAX_WORK_AGE_S,
        )

    def _batches(self) -> api.StreamConfig:
        """The key-value bucket's stream, as any of its clients would lay it out."""
        return api.StreamConfig(
            name=f"KV_{BATCHES_BUCKET}",
            subjects=[f"$KV.{BATCHES_BUCKET}.>"],
            discard=api.DiscardPolicy.NEW,
            max_msgs_per_subject=1,
            max_age=FILES_TTL_S,
            max_bytes=self._limits.effective_max_bytes // _POOL_SHARE,
            storage=api.StorageType(self._limits.storage),
            num_replicas=self._limits.replicas,
            allow_rollup_hdrs=True,
            allow_direct=True,
        )

    def _objects(self, bucket: str, ttl_s: float) -> api.StreamConfig:
        """An object store's stream, as any of its clients would lay it out."""
        prefix = f"$O.{bucket}"
        return api.StreamConfig(
            name=f"OBJ_{bucket}",
            subjects=[f"{prefix}.C.>", f"{prefix}.M.>"],
            discard=api.DiscardPolicy.NEW,
            max_age=ttl_s,
            max_bytes=self._limits.effective_max_bytes,
            storage=api.StorageType(self._limits.storage),
            num_replicas=self._limits.replicas,
            allow_rollup_hdrs=True,
            allow_direct=True,
        )

    def _bounded(
        self,
        name: str,
        subject: str,
        *,
        retention: api.RetentionPolicy,
        discard: api.DiscardPolicy,
        max_age: float = 0,
        share: int = 1,
    ) -> api.StreamConfig:
        return api.StreamConfig(
            name=name,
            subjects=[subject],
            retention=retention,
            discard=discard,
            max_age=max_age,
            max_msgs=self._limits.max_messages,
            max_bytes=self._limits.effective_max_bytes // share,
            duplicate_window=DUPLICATE_WINDOW_S,
            storage=api.StorageType(self._limits.storage),
            num_replicas=self._limits.replicas,
            allow_direct=True,
        )
