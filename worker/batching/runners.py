"""The engines of one model as one: texts go to one of them, images to the other.

Waiting ──┬── a text ────► Runner of the engine
└── an image ──► Runner of the vision engine, where there is one
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sie.registry.v1.model_pb2 import Model
from worker.batching.batcher import BatchLimits, places
from worker.batching.device import Share
from worker.batching.packing import Input, PreparedImage, pack_images, pack_texts
from worker.batching.runner import Computed, Runner, Waiting
from worker.engine import Batch, Engine
from worker.hosting.loading import LoadedModel
from worker.hosting.overrides import overrides_of
from worker.queue.delivery import Delivery
from worker.verbs.job import Job

_CANARY = "canary"
_CANARY_DEADLINE_S = 30.0


class Runners:
    """What computes a model's inputs.

    Args:
        model: the definition it was loaded from.
        loaded: the model.
        share: its turns on the device.
        on_batch: see Runner.
        on_expired: see Runner.
        relieve: see Runner.

    """

    def __init__(
        self,
        model: Model,
        loaded: LoadedModel,
        share: Share,
        on_batch: Callable[[Computed], None],
        on_expired: Callable[[Sequence[Waiting]], None],
        relieve: Callable[[], None],
    ) -> None:
        self._loaded = loaded
        self._limits = batch_limits(model, loaded)

        def runner(engine: Engine, pack: Callable[[Sequence[Any]], Batch]) -> Runner:
            return Runner(engine, pack, self._limits, on_batch, on_expired, share, relieve)

        self._texts = runner(loaded.engine, pack_texts)
        vision = loaded.vision
        self._images = None if vision is None else runner(vision.engine, pack_images)
        self._all = [each for each in (self._texts, self._images) if each is not None]

    @property
    def waiting_inputs(self) -> int:
        """Texts and images in the queues."""
        return sum(runner.waiting_inputs for runner in self._all)

    @property
    def waiting_tokens(self) -> int:
        """Their tokens, and the patches of images."""
        return sum(runner.waiting_tokens for runner in self._all)

    @property
    def waiting_interactive_tokens(self) -> int:
        """Those of interactive work."""
        return sum(runner.waiting_interactive_tokens for runner in self._all)

    @property
    def last_success(self) -> float:
        """Since when every engine has answered, seconds, monotonic."""
        return min(runner.last_success for runner in self._all)

    def oldest_wait_s(self) -> float:
        """How long the oldest input has waited; 0 when none does."""
        return max(runner.oldest_wait_s() for runner in self._all)

    def longest_run_s(self) -> float:
        """How long the oldest run in flight has taken so far; 0 when none is."""
        return max(runner.longest_run_s() for runner in self._all)

    def fill(self, inputs: Sequence[Waiting]) -> tuple[int, float]:
        """How many tokens a batch computed, padding included; and of those it may have, 0 to 1."""
        padded = places([each.tokens for each in inputs], self._limits)
        return padded, padded / self._limits.max_tokens

    def submit(self, inputs: Sequence[Waiting]) -> None:
        """Queue each input with the engine that reads its kind."""
        images = [each for each in inputs if isinstance(each.input, PreparedImage)]
        if images and self._images is not None:
            self._images.submit(images)
        self._texts.submit([each for each in inputs if not isinstance(each.input, PreparedImage)])

    def submit_canary(self) -> None:
        """Queue inputs of our own, whose success shows in last_success."""
        inputs: list[Input] = [*self._loaded.tokenizer.encode([_CANARY])]
        if self._loaded.vision is not None:
            inputs += self._loaded.vision.canary()
        outputs = frozenset(list(self._loaded.sizes)[:1])
        deadline = time.perf_counter() + _CANARY_DEADLINE_S
        self.submit([Waiting(each, outputs, deadline, None, 0) for each in inputs])

    def discard(self, delivery: Delivery) -> None:
        """Drop what waits of a work item."""
        for runner in self._all:
            runner.discard(partial(_is_of, delivery))

    async def close(self) -> None:
        """End the runs and release the engines."""
        for runner in self._all:
            await asyncio.to_thread(runner.close)


def batch_limits(model: Model, loaded: LoadedModel) -> BatchLimits:
    """Return the limits that were measured, within those that the definition gives."""
    limits = loaded.limits
    max_tokens = overrides_of(model).max_batch_tokens or limits.max_tokens
    return replace(limits, max_tokens=max_tokens, row_tokens=min(limits.row_tokens, max_tokens))


def _is_of(delivery: Delivery, job: Job | None) -> bool:
    return job is not None and job.delivery is delivery
