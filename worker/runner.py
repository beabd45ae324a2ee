"""Keeps an engine busy: one queue, and a thread for each stream of the engine.

    event loop ── submit ──► waiting ── turn, select ──► thread ── Engine.run ──► on_batch
                                                                              (event loop)

A stream that has work waits for its turn on the device, which other models use too, and then
takes the best batch of what waits at that moment. Nothing waits for a batch to fill: under
load batches fill by themselves, and a lone text goes at once.

A batch that fails for want of memory is run again after others have given theirs back; one
that fails again, or for another reason, is halved until the bad text is alone.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.batcher import BatchLimits, select
from worker.device import Device, Share
from worker.engine import Engine, OutOfMemoryError, TokenBatch
from worker.tokenizer import TokenizedText

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Text:
    """One text that waits to be computed.

    Attributes:
        tokenized: what the engine reads.
        outputs: names of the outputs that are wanted.
        deadline: seconds since 1970 UTC; past it nobody wants the result.
        owner: whoever submitted it; handed back with the result.
        index: its position with the owner.
        arrived: seconds, monotonic.

    """

    tokenized: TokenizedText
    outputs: frozenset[str]
    deadline: float
    owner: Any
    index: int
    arrived: float = field(default_factory=time.perf_counter)

    @property
    def tokens(self) -> int:
        return self.tokenized.input_tokens


@dataclass(slots=True, eq=False)
class Computed:
    """A batch after its run.

    Attributes:
        texts: what was in it.
        outputs: by name, one row for each text, at least those that the texts want; empty if
            the run failed.
        error: why it failed, or None.
        started: when the run began, seconds, monotonic.
        seconds: how long the run took.

    """

    texts: Sequence[Text]
    outputs: Mapping[str, NDArray[np.float32]]
    error: Exception | None
    started: float
    seconds: float


class Runner:
    """Owns the queue and the threads of one engine.

    Args:
        engine: what computes.
        limits: bounds of a batch.
        on_batch: called on the event loop after every run.
        on_expired: called on the event loop with texts that were dropped unrun.
        share: the model's turns on the device; without one it has the device to itself.
        relieve: called on a stream's thread when memory ran out, to get some back.

    """

    def __init__(
        self,
        engine: Engine,
        limits: BatchLimits,
        on_batch: Callable[[Computed], None],
        on_expired: Callable[[Sequence[Text]], None],
        share: Share | None = None,
        relieve: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._limits = limits
        self._on_batch = on_batch
        self._on_expired = on_expired
        self._share = share or Device(engine.streams).join()
        self._relieve = relieve
        self._loop = asyncio.get_running_loop()
        self._changed = threading.Condition()
        self._waiting: list[Text] = []
        self._closed = False
        self._running_since: dict[int, float] = {}
        self._last_success = time.perf_counter()
        self._threads = [
            threading.Thread(target=self._stream, name=f"stream-{n}", daemon=True)
            for n in range(engine.streams)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting_texts(self) -> int:
        return len(self._waiting)

    @property
    def waiting_tokens(self) -> int:
        with self._changed:
            return sum(text.tokens for text in self._waiting)

    @property
    def last_success(self) -> float:
        """When a run last succeeded, seconds, monotonic."""
        return self._last_success

    def longest_run_s(self) -> float:
        """How long the oldest run in flight has taken so far; 0 when none is."""
        running = list(self._running_since.values())
        return time.perf_counter() - min(running) if running else 0.0

    def submit(self, texts: Sequence[Text]) -> None:
        """Queue texts."""
        with self._changed:
            self._waiting.extend(texts)
            self._changed.notify(len(texts))

    def close(self) -> None:
        """Let the streams end after what waits, and release the engine."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._share.leave()
        self._engine.close()

    def _stream(self) -> None:
        while self._has_work():
            with self._share.turn() as turn:
                texts = self._take()
                if texts:
                    self._run(texts)
                turn.cost = sum(text.tokens for text in texts)

    def _has_work(self) -> bool:
        """Wait until something waits; False means the end."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            return bool(self._waiting)

    def _take(self) -> list[Text]:
        """Take the next batch; an empty one where another stream was faster."""
        with self._changed:
            self._drop_expired()
            if not self._waiting:
                return []
            batch = select(self._waiting, self._limits)
            taken = set(map(id, batch))
            self._waiting = [text for text in self._waiting if id(text) not in taken]
            return batch

    def _drop_expired(self) -> None:
        now = time.time()
        expired = [text for text in self._waiting if text.deadline <= now]
        if expired:
            self._waiting = [text for text in self._waiting if text.deadline > now]
            self._loop.call_soon_threadsafe(self._on_expired, expired)

    def _run(self, texts: list[Text]) -> None:
        started = time.perf_counter()
        self._running_since[threading.get_ident()] = started
        outputs: Mapping[str, NDArray[np.float32]] = {}
        error = None
        try:
            outputs = self._compute(texts)
            self._last_success = time.perf_counter()
        except Exception as caught:  # noqa: BLE001 - whatever an engine raises is the batch's
            error = caught
        del self._running_since[threading.get_ident()]
        if error is not None and len(texts) > 1:
            self._bisect(texts, error)
            return
        computed = Computed(texts, outputs, error, started, time.perf_counter() - started)
        self._loop.call_soon_threadsafe(self._on_batch, computed)

    def _compute(self, texts: list[Text]) -> Mapping[str, NDArray[np.float32]]:
        batch, wanted = _batch(texts), _wanted(texts)
        try:
            return self._engine.run(batch, wanted)
        except OutOfMemoryError as error:
            log.warning("out of memory in a batch of %d: %s", len(texts), error)
        self._relieve()
        return self._engine.run(batch, wanted)

    def _bisect(self, texts: list[Text], error: Exception) -> None:
        """Run the halves of a batch that failed, so that one bad text fails alone."""
        log.warning("batch of %d failed, retrying its halves: %s", len(texts), error)
        middle = len(texts) // 2
        self._run(texts[:middle])
        self._run(texts[middle:])


def _batch(texts: Sequence[Text]) -> TokenBatch:
    tokenized = [text.tokenized for text in texts]
    return TokenBatch.pack(
        [text.ids for text in tokenized],
        attended=[text.attended for text in tokenized],
        type_ids=_type_ids(tokenized),
    )


def _type_ids(tokenized: Sequence[TokenizedText]) -> list[NDArray[np.int32]] | None:
    if all(text.type_ids is None for text in tokenized):
        return None
    return [
        np.zeros_like(text.ids) if text.type_ids is None else text.type_ids for text in tokenized
    ]


def _wanted(texts: Sequence[Text]) -> list[str]:
    """Return what any of the texts wants: neighbours may ask for different outputs."""
    return sorted(frozenset[str]().union(*(text.outputs for text in texts)))
