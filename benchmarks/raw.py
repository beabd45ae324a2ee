"""The engine alone, in this process: what the rest of the system is measured against."""

import asyncio
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from worker.batching.packing import pack_texts
from worker.batching.runner import Computed, Runner, Waiting
from worker.engine import TokenBatch
from worker.hosting.loading import LoadedModel
from worker.texts.tokenizer import TokenizedText


class Raw:
    """Tokeniser and engine without anything around them.

    Args:
        model: the loaded model.
        texts: what is computed.
        rows: texts in a batch, of near-equal length.
    """

    def __init__(self, model: LoadedModel, texts: Sequence[str], rows: int) -> None:
        self._model = model
        self._texts = texts
        self.rows = rows

    def throughput(self) -> float:
        """Texts a second over all texts, sorted by length, every stream of the engine busy."""
        started = time.perf_counter()
        tokenized = sorted(
            self._model.tokenizer.encode(self._texts), key=lambda text: text.input_tokens
        )
        batches = [tokenized[i : i + self.rows] for i in range(0, len(tokenized), self.rows)]
        with ThreadPoolExecutor(self._model.engine.streams) as pool:
            list(pool.map(self._run, batches))
        return len(self._texts) / (time.perf_counter() - started)

    def encode(self, text: str) -> None:
        """Computes one text alone."""
        self._run(self._model.tokenizer.encode([text]))

    def _run(self, batch: Sequence[TokenizedText]) -> None:
        self._model.engine.run(TokenBatch.pack([text.ids for text in batch]))


def best(model: LoadedModel, texts: Sequence[str]) -> Raw:
    """The batch size with the highest throughput on these texts."""
    candidates = [Raw(model, texts, rows) for rows in (1, 2, 4, 8, 16)]
    return max(candidates, key=lambda raw: max(raw.throughput() for _ in range(2)))


class Runs:
    """Tokeniser, engine and the worker's own runner: the batches of a worker, and nothing else.

    Args:
        model: the loaded model. It is closed with the block.
    """

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._outputs = frozenset({next(iter(model.sizes))})
        self._loop = asyncio.new_event_loop()
        self._done = asyncio.Event()
        self._left = 0

    def __enter__(self) -> Self:
        self._runner = self._loop.run_until_complete(self._open())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._runner.close()
        self._loop.close()

    def encode(self, texts: Sequence[str]) -> None:
        """Computes texts, and returns when the last of them is done."""
        self._loop.run_until_complete(self._encode(texts))

    async def _open(self) -> Runner:
        limits = self._model.limits
        return Runner(self._model.engine, pack_texts, limits, self._on_batch, _never)

    async def _encode(self, texts: Sequence[str]) -> None:
        self._left = len(texts)
        self._done.clear()
        tokenized = self._model.tokenizer.encode(texts)
        self._runner.submit(
            [
                Waiting(text, self._outputs, math.inf, None, index)
                for index, text in enumerate(tokenized)
            ]
        )
        await self._done.wait()

    def _on_batch(self, computed: Computed) -> None:
        if computed.error is not None:
            raise computed.error
        self._left -= len(computed.inputs)
        if not self._left:
            self._done.set()


def _never(inputs: Sequence[Waiting]) -> None:
    raise AssertionError(f"{len(inputs)} inputs without a deadline expired")
