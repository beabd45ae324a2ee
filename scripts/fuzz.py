"""Sends damaged requests to everything that decodes bytes of strangers.

python scripts/fuzz.py --seed 1 --count 100000      inputs for each target
python scripts/fuzz.py --seed 1 --only json:4711    one of them again

An input may be taken or refused with an error of its sender's (4xx). Anything else that is raised,
an input that takes longer than two seconds, and memory that grows by half a gigabyte end the run
with exit status 1 and the name of the input. An input depends on seed, target and number alone.
"""

import argparse
import faulthandler
import resource
import sys
import time
import traceback
import warnings
from random import Random

from fuzzing.targets import Target, targets

from servicekit.errors import SieError, spec_of
from worker.images.error import ImageError

SLOWEST_S = 2.0
HANGS_S = 30
MOST_GROWTH_KB = 512 * 1024
_SERVER_ERROR = 500


class FuzzError(Exception):
    """An input did what none may do."""


def main() -> int:
    arguments = _arguments()
    faulthandler.enable()
    # Pillow warns of what it then refuses.
    warnings.simplefilter("ignore")
    known = targets()
    if arguments.only:
        name, number = arguments.only.split(":")
        print(f"{name}:{number} was {_outcome(known[name], arguments.seed, name, int(number))[0]}")
        return 0
    try:
        for name, target in known.items():
            _run(target, name, arguments.seed, arguments.count)
    except FuzzError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _run(target: Target, name: str, seed: int, count: int) -> None:
    outcomes = {"taken": 0, "refused": 0}
    slowest, started, before_kb = (0.0, 0), time.perf_counter(), _memory_kb()
    for number in range(count):
        faulthandler.dump_traceback_later(HANGS_S, exit=True)
        outcome, seconds = _outcome(target, seed, name, number)
        outcomes[outcome] += 1
        slowest = max(slowest, (seconds, number))
        if seconds > SLOWEST_S:
            raise FuzzError(f"{name}:{number} took {seconds:.1f} s")
    faulthandler.cancel_dump_traceback_later()
    grown_kb = _memory_kb() - before_kb
    if grown_kb > MOST_GROWTH_KB:
        raise FuzzError(f"{name}: memory grew by {grown_kb // 1024} MB")
    print(
        f"{name:<9} {count:>8} inputs  {outcomes['taken']:>7} taken  {outcomes['refused']:>8} "
        f"refused  slowest {slowest[0] * 1000:6.1f} ms ({slowest[1]})  +{grown_kb // 1024} MB  "
        f"{time.perf_counter() - started:.0f} s",
        flush=True,
    )


def _outcome(target: Target, seed: int, name: str, number: int) -> tuple[str, float]:
    """Whether an input was taken or refused, and the seconds that took."""
    made = target.make(Random(f"{seed}:{name}:{number}"))  # noqa: S311 - it must be repeatable
    started = time.perf_counter()
    try:
        target.decode(made)
        outcome = "taken"
    except SieError as error:
        if spec_of(error.reason).http_status >= _SERVER_ERROR:
            raise FuzzError(f"{name}:{number} is answered with {error}") from None
        outcome = "refused"
    except ImageError:
        outcome = "refused"
    except Exception:  # noqa: BLE001 - this is what is looked for
        raise FuzzError(f"{name}:{number}\n{traceback.format_exc()}\n{made!r:.2000}") from None
    return outcome, time.perf_counter() - started


def _memory_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--only", default="", metavar="TARGET:NUMBER")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
