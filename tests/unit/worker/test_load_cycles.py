"""A model that is let go gives its memory back: 40 times here, 200 in benchmarks/load_cycles.py."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker.loading import load
from worker.memory import HostMemory, release_unused

BERT = Path(__file__).parents[2] / "golden" / "bert_mean"
CYCLES = 40
WARM_UP = 10


@pytest.fixture
def only_new_garbage() -> Iterator[None]:
    """Collecting costs what this process has in memory, most of it other tests' modules."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("only_new_garbage")
def test_memory_stays_where_it_was(tmp_path):
    memory, resident = HostMemory(), []
    for _ in range(WARM_UP + CYCLES):
        load(BERT, tmp_path).engine.close()
        release_unused()
        resident.append(memory.used_bytes())
    assert resident[-1] < 1.05 * resident[WARM_UP - 1]


def test_a_machine_says_how_much_memory_there_is():
    memory = HostMemory()
    assert 0 < memory.used_bytes() < memory.total_bytes()
