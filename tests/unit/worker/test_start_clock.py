"""The phases of a worker's start add up to the age of its process."""

import subprocess
import sys
import time

_PROGRAM = """
from prometheus_client import REGISTRY
from worker.start_clock import StartClock
clock = StartClock.of_process()
for phase in ("import", "connect"):
    clock.passed(phase)
    print(REGISTRY.get_sample_value("sie_worker_start_seconds", {"phase": phase}))
"""


def test_the_first_phase_begins_with_the_process():
    began = time.monotonic()
    told = subprocess.run(
        [sys.executable, "-c", _PROGRAM], check=True, capture_output=True, text=True
    )
    took = time.monotonic() - began
    imported, connected = map(float, told.stdout.split())
    # Importing what the clock stands on alone takes longer than this.
    assert 0.02 < imported <= took + 0.02
    assert connected >= 0
