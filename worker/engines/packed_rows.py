"""An engine whose graph takes packed rows, as one that takes texts.

    TokenBatch ─► rows of a few widths ─► the engine ─► one vector a text

The rows are those that the batcher filled (`bin_packing.fill_rows`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from worker.batching.bin_packing import pack, plan_rows, unpacked
from worker.engine import Batch, Engine, EngineError, TokenBatch


class PackedRows:
    """An Engine that lets texts share rows.

    Args:
        engine: runs a graph of the packed layout.
        row_tokens: the usual width of a row.

    """

    def __init__(self, engine: Engine, row_tokens: int) -> None:
        self._engine = engine
        self._row_tokens = row_tokens
        self.name = engine.name
        self.streams = engine.streams

    def run(self, batch: Batch, outputs: Sequence[str] = ()) -> Mapping[str, NDArray[np.float32]]:
        """See Engine.run; every output is a vector for each text."""
        if not isinstance(batch, TokenBatch):
            raise EngineError(f"{self.name}: takes texts")
        lengths = batch.lengths.tolist()
        plan = plan_rows(lengths, self._row_tokens)
        texts = [ids[:length] for ids, length in zip(batch.input_ids, lengths, strict=True)]
        answers = self._engine.run(pack(texts, plan), outputs)
        return {name: unpacked(values, plan.rows) for name, values in answers.items()}

    def close(self) -> None:
        """See Engine.close."""
        self._engine.close()
