"""Keeps an engine busy: one queue, and a thread for each stream of the engine.

    event loop ── submit ──► waiting ── turn, select ──► thread ── Engine.run ──► on_batch
                                                                              (event loop)

A stream that has work waits for its turn on the device, which other models use too, and then
takes the best batch of what waits at that moment. A lone input goes at once. Beside a run in
flight the next waits for a full batch, or until patience ends: the cores are busy meanwhile, and
a run of few tokens spends its time reading weights. On two cores, texts of 22 tokens from 32
clients otherwise made batches of three.

Interactive work that came lately may come again, so bulk work then leaves it a stream where
there are several, and makes runs that are short: whoever comes waits for no more than one.

A batch that fails for want of memory is run again after others have given theirs back; one
that fails again, or for another reason, is halved until the bad input is alone.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.batching.batcher import BatchLimits
from worker.batching.device import Device, Share
from worker.batching.packing import Input
from worker.batching.waiting_queue import DEFAULT_FLOW, Flow, WaitingQueue
from worker.engine import Batch, Engine, OutOfMemoryError

log = logging.getLogger(__name__)

# For so long after the last interactive work bulk work leaves room for more.
_LATELY_S = 10.0


@dataclass(slots=True, eq=False)
class Waiting:
    """One input that waits to be computed.

    Attributes:
        input: what the engine reads.
        outputs: names of the outputs that are wanted.
        deadline: seconds of time.perf_counter(); past it nobody wants the result.
        owner: whoever submitted it; handed back with the result.
        index: its position with the owner.
        flow: whose work it is, and of which class.
        arrived: seconds, monotonic.
        turn: set by the queue.

    """

    input: Input
    outputs: frozenset[str]
    deadline: float
    owner: Any
    index: int
    flow: Flow = DEFAULT_FLOW
    arrived: float = field(default_factory=time.perf_counter)
    turn: float = 0.0

    @property
    def tokens(self) -> int:
        return self.input.input_tokens


@dataclass(slots=True, eq=False)
class Computed:
    """A batch after its run.

    Attributes:
        inputs: what was in it.
        outputs: by name, one row for each input, at least those that the inputs want; empty if
            the run failed.
        error: why it failed, or None.
        started: when the run began, seconds, monotonic.
        seconds: how long the run took.

    """

    inputs: Sequence[Waiting]
    outputs: Mapping[str, NDArray[np.float32]]
    error: Exception | None
    started: float
    seconds: float


class Runner:
    """Owns the queue and the threads of one engine.

    Args:
        engine: what computes.
        pack: makes the engine's batch of inputs of one kind.
        limits: bounds of a batch.
        on_batch: called on the event loop after every run.
        on_expired: called on the event loop with inputs that were dropped unrun.
        share: the model's turns on the device; without one it has the device to itself.
        relieve: called on a stream's thread when memory ran out, to get some back.

    """

    def __init__(
        self,
        engine: Engine,
        pack: Callable[[Sequence[Any]], Batch],
        limits: BatchLimits,
        on_batch: Callable[[Computed], None],
        on_expired: Callable[[Sequence[Waiting]], None],
        share: Share | None = None,
        relieve: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._pack = pack
        self._limits = limits
        self._on_batch = on_batch
        self._on_expired = on_expired
        self._share = share or Device(engine.streams).join()
        self._relieve = relieve
        self._loop = asyncio.get_running_loop()
        self._changed = threading.Condition()
        self._waiting: WaitingQueue[Waiting] = WaitingQueue()
        self._claimed = 0
        self._bulk_runs = 0
        self._interactive_came = -math.inf
        self._next_deadline = math.inf
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
    def waiting_inputs(self) -> int:
        return len(self._waiting)

    @property
    def waiting_tokens(self) -> int:
        return self._waiting.tokens

    @property
    def waiting_interactive_tokens(self) -> int:
        return self._waiting.interactive_tokens

    @property
    def last_success(self) -> float:
        """When a run last succeeded, seconds, monotonic."""
        return self._last_success

    def longest_run_s(self) -> float:
        """How long the oldest run in flight has taken so far; 0 when none is."""
        running = list(self._running_since.values())
        return time.perf_counter() - min(running) if running else 0.0

    def oldest_wait_s(self) -> float:
        """How long the oldest input in the queue has waited; 0 when none waits."""
        with self._changed:
            return time.perf_counter() - self._waiting.oldest if self._waiting else 0.0

    def submit(self, inputs: Sequence[Waiting]) -> None:
        """Queue inputs."""
        with self._changed:
            self._waiting.add(inputs)
            soonest = min((each.deadline for each in inputs), default=math.inf)
            self._next_deadline = min(self._next_deadline, soonest)
            if not all(each.flow.bulk for each in inputs):
                self._interactive_came = time.perf_counter()
            self._changed.notify(len(inputs))

    def discard(self, unwanted: Callable[[Any], bool]) -> None:
        """Forget what waits for owners who want it no more."""
        with self._changed:
            self._waiting.remove(lambda each: unwanted(each.owner))

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
        while self._claim():
            with self._share.turn() as turn:
                inputs = self._take()
                if inputs:
                    self._run(inputs)
                turn.cost = sum(each.tokens for each in inputs)
            with self._changed:
                self._claimed -= 1
                self._bulk_runs -= _is_bulk(inputs)
                if self._waiting:  # Else they would wake for nothing, while results are replied.
                    self._changed.notify_all()

    def _claim(self) -> bool:
        """Wait until there is work for one more run; False means the end."""
        with self._changed:
            while (left := self._seconds_until_worthwhile()) != 0:
                if self._closed and not self._waiting:
                    return False
                self._changed.wait(left)
            self._claimed += 1
            return True

    def _seconds_until_worthwhile(self) -> float | None:
        """Return how long what waits should wait for more; None while nothing waits."""
        if not self._waiting:
            return None
        interactive = self._waiting.interactive_tokens > 0
        if not interactive and not self._may_bulk():
            return max(0.001, self._interactive_came + _LATELY_S - time.perf_counter())
        full = self._waiting.tokens >= self._limits.full_tokens
        # Interactive work does not wait for company while only bulk work runs.
        beside = self._claimed - self._bulk_runs if interactive else self._claimed
        if full or not beside or self._closed:
            return 0
        oldest = self._waiting.oldest
        return max(0.0, oldest + self._limits.patience_s - time.perf_counter())

    def _take(self) -> list[Waiting]:
        """Take the next batch; an empty one where another stream was faster."""
        with self._changed:
            self._drop_expired()
            if not self._waiting:
                return []
            limits = self._limits.shared(self._waiting.tokens, self._engine.streams)
            bulk_limits = limits.beside_interactive() if self._is_lately() else limits
            inputs = self._waiting.take(limits, bulk_limits if self._may_bulk() else None)
            self._bulk_runs += _is_bulk(inputs)
            return inputs

    def _is_lately(self) -> bool:
        """Whether interactive work came lately."""
        return time.perf_counter() - self._interactive_came < _LATELY_S

    def _may_bulk(self) -> bool:
        """Whether a stream may take up bulk work."""
        spare = 1 if self._engine.streams > 1 and self._is_lately() else 0
        return self._bulk_runs < self._engine.streams - spare

    def _drop_expired(self) -> None:
        now = time.perf_counter()
        if now < self._next_deadline:
            return  # Rather than look at all that waits for every batch.
        expired = self._waiting.remove(lambda each: each.deadline <= now)
        self._next_deadline = min((each.deadline for each in self._waiting), default=math.inf)
        if expired:
            self._loop.call_soon_threadsafe(self._on_expired, expired)

    def _run(self, inputs: list[Waiting]) -> None:
        started = time.perf_counter()
        self._running_since[threading.get_ident()] = started
        outputs: Mapping[str, NDArray[np.float32]] = {}
        error = None
        try:
            outputs = self._compute(inputs)
            self._last_success = time.perf_counter()
        except Exception as caught:  # noqa: BLE001 - whatever an engine raises is the batch's
            error = caught
        del self._running_since[threading.get_ident()]
        if error is not None and len(inputs) > 1:
            self._bisect(inputs, error)
            return
        computed = Computed(inputs, outputs, error, started, time.perf_counter() - started)
        self._loop.call_soon_threadsafe(self._on_batch, computed)

    def _compute(self, inputs: list[Waiting]) -> Mapping[str, NDArray[np.float32]]:
        batch, wanted = self._pack([each.input for each in inputs]), _wanted(inputs)
        try:
            return self._engine.run(batch, wanted)
        except OutOfMemoryError as error:
            log.warning("out of memory in a batch of %d: %s", len(inputs), error)
        self._relieve()
        return self._engine.run(batch, wanted)

    def _bisect(self, inputs: list[Waiting], error: Exception) -> None:
        """Run the halves of a batch that failed, so that one bad input fails alone."""
        log.warning("batch of %d failed, retrying its halves: %s", len(inputs), error)
        middle = len(inputs) // 2
        self._run(inputs[:middle])
        self._run(inputs[middle:])


def _is_bulk(inputs: Sequence[Waiting]) -> bool:
    """Whether a batch is bulk work alone."""
    return bool(inputs) and all(each.flow.bulk for each in inputs)


def _wanted(inputs: Sequence[Waiting]) -> list[str]:
    """Return what any of the inputs wants: neighbours may ask for different outputs."""
    return sorted(frozenset[str]().union(*(each.outputs for each in inputs)))
