"""Loads and unloads a model again and again, and shows what stays resident.

python benchmarks/load_cycles.py [CHECKPOINT] [CYCLES]
"""

import sys
import tempfile
import time
from pathlib import Path

from worker.hosting.loading import load
from worker.hosting.memory import HostMemory, release_unused

_BERT = Path(__file__).parents[1] / "tests" / "golden" / "bert_mean"
# The first loads fill caches that stay: imports, kernels, the allocator's arena.
_WARM_UP = 10


def cycle(directory: Path, cache: Path) -> int:
    """One load and unload; returns the resident bytes after it."""
    load(directory, cache).engine.close()
    release_unused()
    return HostMemory().used_bytes()


def main() -> None:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else _BERT
    cycles = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(_WARM_UP):
            before = cycle(directory, Path(cache))
        started = time.perf_counter()
        resident = [cycle(directory, Path(cache)) for _ in range(cycles)]
    seconds = time.perf_counter() - started
    growth = resident[-1] / before - 1
    print(f"{cycles} cycles, {seconds / cycles * 1e3:.0f} ms each")
    print(
        f"resident {before / 1e6:.1f} MB before, {resident[-1] / 1e6:.1f} MB after: {growth:+.1%}"
    )
    print(f"peak {max(resident) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
