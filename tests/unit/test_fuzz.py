"""A short run of what is run for long by hand: `python scripts/fuzz.py --count 100000`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", [1, 2])
def test_no_damaged_request_does_more_than_fail(seed):
    command = [sys.executable, "scripts/fuzz.py", "--seed", str(seed), "--count", "250"]
    path = os.pathsep.join(str(ROOT / folder) for folder in (".", "gen"))
    env = {**os.environ, "PYTHONPATH": path}
    run = subprocess.run(
        command, check=False, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stdout + run.stderr
    rows = [line.split() for line in run.stdout.splitlines()]
    assert len(rows) == 10
    # Each target meets both kinds, or its seeds or its mutations are worth nothing.
    assert all(int(taken) and int(refused) for _, _, _, taken, _, refused, *_ in rows)
