"""Every fault under load: `python -m tests.chaos [--seed N] [--only TEXT]`."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.chaos.faults import FAULTS
from tests.chaos.report import cells, header, name_cell
from tests.chaos.run import Plan, Runner
from tests.chaos.scene import Fault

_CACHE = Path(__file__).parents[2] / ".sie" / "cache"


def main() -> int:
    """Returns 0 if everything was as it must be."""
    parser = argparse.ArgumentParser(prog="chaos", description="Suffer every fault under load")
    parser.add_argument("--seed", type=int, default=1, help="decides order and chance")
    parser.add_argument("--only", default="", help="only faults whose name has this in it")
    parser.add_argument("--crash-seconds", type=float, default=120.0)
    parser.add_argument("--commits", type=int, default=10_000, help="behind slow watchers")
    parser.add_argument("--keep", type=Path, help="where clusters leave their logs")
    arguments = parser.parse_args()
    plan = Plan(arguments.seed, arguments.crash_seconds, arguments.commits)
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        runner = Runner(plan, arguments.keep or Path(folder), _CACHE)
        faults = [fault for fault in FAULTS if arguments.only in fault.name]
        return _run(runner, faults, arguments.seed)


def _run(runner: Runner, faults: list[Fault], seed: int) -> int:
    order = runner.in_order(faults)
    rows = runner.suffer_all(order)
    failed = 0
    _write(f"seed {seed}\n{header()}\n")
    for fault in order:
        _write(name_cell(fault.name))
        row = next(rows)
        failed += bool(row.problems)
        _write(f"{cells(row)}\n")
    _write(f"{len(order) - failed} of {len(order)} suffered as they must be\n")
    return int(failed > 0 or not order)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
