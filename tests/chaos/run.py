"""Faults one after the other, each under load, and a table of how its requests ended."""

import random
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.chaos.faults import Fault, Scene
from tests.chaos.load import Load, Verdict
from tests.chaos.stack import ChaosStack, check_sums

_COLUMNS = ("fault", "accepted", "right", "retryable", "broken", "wrong", "hung", "lost", "s")
_CALM = 10


class Row(NamedTuple):
    """What one fault did.

    Args:
        fault: its name.
        load: how the requests ended.
        seconds: how long it took.
        lost: requests whose connection broke though no gateway was touched.
        problems: what was not as it must be; empty if all was.
    """

    fault: str
    load: Load
    seconds: float
    lost: int
    problems: list[str]

    def cells(self) -> list[str]:
        counts = self.load.counts
        broken = counts[Verdict.BROKEN] - self.lost
        verdicts = [counts[Verdict.RIGHT], counts[Verdict.RETRYABLE], broken]
        bad = [counts[Verdict.WRONG], counts[Verdict.HUNG], self.lost]
        return [
            self.fault,
            *map(str, [self.load.sent, *verdicts, *bad]),
            f"{self.seconds:.0f}",
        ]


def suffer(stack: ChaosStack, fault: Fault, seed: int, crash_s: float) -> Row:
    """Has a running cluster suffer one fault under load."""
    problems: list[str] = []
    started = time.monotonic()
    chance = random.Random(f"{seed}/{fault.name}")
    with Load(stack.gateway_addresses, seed) as load:
        try:
            load.wait_for_right(_CALM)
            fault.inflict(Scene(stack, load, chance, crash_s))
        except Exception as error:  # noqa: BLE001 - one fault's failure is a row of the table
            problems.append("".join(traceback.format_exception(error)[-1:] + traceback.format_tb(error.__traceback__)[-2:]))
    try:
        stack.heal()
        check_sums(stack.gateway_addresses)
    except Exception as error:  # noqa: BLE001 - as above
        problems.append(f"counts: {error!r}")
    lost = 0 if fault.breaks else load.counts[Verdict.BROKEN]
    problems += _judge(fault, load, lost)
    return Row(fault.name, load, time.monotonic() - started, lost, problems)


def _judge(fault: Fault, load: Load, lost: int) -> list[str]:
    unwanted = load.counts[Verdict.WRONG] + load.counts[Verdict.HUNG] + lost
    if fault.all_right:
        unwanted += load.counts[Verdict.RETRYABLE]
    return sorted(set(load.notes))[:10] if unwanted else []


def table(rows: Sequence[Row]) -> str:
    """The rows, aligned."""
    cells = [list(_COLUMNS), *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    )


def new_stack(directory: Path, cache_dir: Path, fault: Fault | None = None) -> ChaosStack:
    """A cluster such as the fault needs, with nothing started yet."""
    arguments = {} if fault is None else dict(fault.stack or {})
    return ChaosStack(directory, cache_dir, **arguments)  # type: ignore[arg-type]


def suffer_all(faults: Sequence[Fault], seed: int, crash_s: float, cache_dir: Path) -> list[Row]:
    """Has clusters suffer the faults: one after the other, in an order that the seed decides."""
    order = list(faults)
    random.Random(seed).shuffle(order)
    rows: list[Row] = []
    shared = [fault for fault in order if fault.stack is None]
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        if shared:
            with new_stack(Path(folder) / "shared", cache_dir) as stack:
                stack.start()
                rows += [_told(suffer(stack, fault, seed, crash_s)) for fault in shared]
        for number, fault in enumerate(each for each in order if each.stack is not None):
            with new_stack(Path(folder) / str(number), cache_dir, fault) as stack:
                stack.start()
                rows.append(_told(suffer(stack, fault, seed, crash_s)))
    return rows


def _told(row: Row) -> Row:
    print(table([row]).splitlines()[1], *row.problems, sep="\n    ", flush=True)  # noqa: T201
    return row
