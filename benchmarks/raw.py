"""The engine alone, in this process: what the rest of the system is measured against."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from worker.engine import TokenBatch
from worker.loading import LoadedModel
from worker.tokenizer import TokenizedText


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
