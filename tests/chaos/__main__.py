"""Every fault under load: `python -m tests.chaos [--seed N] [--only TEXT] [--crash-seconds N]`."""

import argparse
import sys
from pathlib import Path

from tests.chaos.faults import FAULTS
from tests.chaos.run import suffer_all, table

_CACHE = Path(__file__).parents[2] / ".sie" / "cache"


def main() -> int:
    """Returns 0 if everything was as it must be."""
    parser = argparse.ArgumentParser(description="Suffer every fault under load")
    parser.add_argument("--seed", type=int, default=1, help="decides order and chance")
    parser.add_argument("--only", default="", help="only faults whose name has this in it")
    parser.add_argument("--crash-seconds", type=float, default=120.0)
    arguments = parser.parse_args()
    chosen = [fault for fault in FAULTS if arguments.only in fault.name]
    rows = suffer_all(chosen, arguments.seed, arguments.crash_seconds, _CACHE)
    print(f"\nseed {arguments.seed}\n{table(rows)}")  # noqa: T201
    return 1 if any(row.problems for row in rows) or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
