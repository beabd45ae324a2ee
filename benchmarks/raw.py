"""The engine alone, in this process: what the rest of the system is measured against."""

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from worker.engine import TokenBatch
from worker.loading import LoadedModel
from worker.tokenizer import TokenizedText


class Raw(NamedTuple):
    """Best that tokeniser and engine reach without anything around them.

    Attributes:
        texts_per_second: best over batch sizes, texts sorted by length.
        batch_rows: batch size of that best.
        latency_ms: median for one text at a time, tokenised and computed.
        p99_ms: 99th percentile of the same.
        padding: share of padding at that best.
    """

    texts_per_second: float
    batch_rows: int
    latency_ms: float
    p99_ms: float
    padding: float


def measure(model: LoadedModel, texts: Sequence[str], seconds: float) -> Raw:
    """Measures throughput over batch sizes, then latency, each for about `seconds`."""
    runs = [(*throughput(model, texts, rows), rows) for rows in (1, 4, 8, 16, 32)]
    best, padding, rows = max(runs)
    took = latencies(model, texts, seconds)
    return Raw(best, rows, statistics.median(took) * 1e3, _p99(took) * 1e3, padding)


def throughput(model: LoadedModel, texts: Sequence[str], rows: int) -> tuple[float, float]:
    """Texts a second and share of padding, in batches of `rows` near-equal lengths."""
    started = time.perf_counter()
    tokenized = sorted(model.tokenizer.encode(texts), key=lambda text: text.input_tokens)
    batches = [tokenized[i : i + rows] for i in range(0, len(tokenized), rows)]
    with ThreadPoolExecutor(model.engine.streams) as pool:
        list(pool.map(lambda batch: _run(model, batch), batches))
    padded = sum(len(batch) * batch[-1].input_tokens for batch in batches)
    real = sum(text.input_tokens for text in tokenized)
    return len(texts) / (time.perf_counter() - started), 1 - real / padded


def latencies(model: LoadedModel, texts: Sequence[str], seconds: float) -> list[float]:
    """Seconds for each text, one at a time."""
    took = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        text = texts[len(took) % len(texts)]
        started = time.perf_counter()
        _run(model, model.tokenizer.encode([text]))
        took.append(time.perf_counter() - started)
    return took


def _run(model: LoadedModel, batch: Sequence[TokenizedText]) -> None:
    model.engine.run(TokenBatch.pack([text.ids for text in batch]))


def _p99(values: Sequence[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]
