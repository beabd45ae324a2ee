"""One line for each fault, written while they are suffered."""

from typing import NamedTuple

from tests.chaos.load import Load
from tests.chaos.verdicts import Verdict

_COLUMNS = ("requests", *Verdict, "slowest s", "took s")
_NAME_WIDTH = 29
_MOST_NOTES = 3


class Row(NamedTuple):
    """What one fault did.

    Args:
        fault: its name.
        load: how the requests ended.
        seconds: how long it took.
        problems: what was not as it must be; empty if all was.
    """

    fault: str
    load: Load
    seconds: float
    problems: list[str]


def header() -> str:
    return "fault".ljust(_NAME_WIDTH) + "  ".join(_COLUMNS) + "  errors"


def name_cell(fault: str) -> str:
    return fault.ljust(_NAME_WIDTH)


def cells(row: Row) -> str:
    """What follows the name, and below it what was wrong."""
    load = row.load
    counts = [load.sent, *(load.counts[verdict] for verdict in Verdict)]
    values = [*map(str, counts), f"{load.slowest_s:.1f}", f"{row.seconds:.0f}"]
    numbers = (value.rjust(len(column)) for value, column in zip(values, _COLUMNS, strict=True))
    notes = (f"{count} x {note}" for note, count in load.notes.most_common(_MOST_NOTES))
    problems = "".join(f"\n    {line}" for each in row.problems for line in each.splitlines())
    return "  ".join(numbers) + "  " + ", ".join(notes) + problems
