"""A model that is let go gives its memory back: 40 times here, 200 in benchmarks/load_cycles.py."""

from pathlib import Path

from worker.hosting.loading import load
from worker.hosting.memory import HostMemory, release_unused

BERT = Path(__file__).parents[2] / "golden" / "bert_mean"
CYCLES = 40
WARM_UP = 10


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
