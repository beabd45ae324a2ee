"""Progress of a start: a line for each finished step, and on a terminal one that lives."""

import sys
import time
from collections.abc import Iterable

import click

_NAME_WIDTH = 17


class Progress:
    """Counts seconds from its making."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._is_live = sys.stdout.isatty()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begin

    def done(self, step: str, detail: str = "") -> None:
        """A step has finished."""
        self.clear()
        click.echo(f"  {self.seconds:6.2f} s  {step:<{_NAME_WIDTH}} {detail}".rstrip())

    def waiting(self, steps: Iterable[str]) -> None:
        """What is still awaited; rewritten in place, and not shown where that is impossible."""
        if self._is_live:
            click.echo(f"\r\033[K  {self.seconds:6.2f} s  ... {', '.join(steps)}", nl=False)

    def clear(self) -> None:
        """Removes the line of `waiting`."""
        if self._is_live:
            click.echo("\r\033[K", nl=False)
