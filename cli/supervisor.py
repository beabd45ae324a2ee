"""Keeps processes running: one that ends is started again, ever later if it keeps ending."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cli.managed_process import ManagedProcess

_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 30.0
# Ends in a row after which it is plain that trying again does not help.
_CRASH_LOOP = 4
# Whoever ran as long has left its crash loop.
_STABLE_S = 60.0
_TAIL_LINES = 8


@dataclass
class _Watched:
    process: ManagedProcess
    started_at: float
    ends: int = 0
    restart_at: float | None = None
    is_returning: bool = False


class Supervisor:
    """Restarts what ends, and says so.

    Args:
        processes: all of them running.
        say: takes what a person should know.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        processes: Iterable[ManagedProcess],
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._watched = [_Watched(process, clock()) for process in processes]
        self._say = say
        self._clock = clock

    def tick(self) -> None:
        """Looks at every process once. Called a few times a second."""
        for watched in self._watched:
            if watched.process.is_running:
                self._welcome(watched)
            elif watched.restart_at is None:
                self._schedule(watched)
            elif self._clock() >= watched.restart_at:
                watched.restart_at = None
                watched.is_returning = True
                watched.started_at = self._clock()
                watched.process.start()

    def _welcome(self, watched: _Watched) -> None:
        if watched.is_returning and watched.process.is_ready():
            watched.is_returning = False
            self._say(f"{watched.process.name} is ready again")

    def _schedule(self, watched: _Watched) -> None:
        process = watched.process
        ran_s = self._clock() - watched.started_at
        watched.ends = 1 if ran_s >= _STABLE_S else watched.ends + 1
        delay_s = restart_delay(watched.ends)
        watched.restart_at = self._clock() + delay_s
        self._say(_obituary(process, watched.ends, ran_s, delay_s))


def restart_delay(ends: int) -> float:
    """Seconds to wait after so many ends in a row: 0.5, 1, 2, ... up to 30."""
    return float(min(_FIRST_DELAY_S * 2 ** (ends - 1), _LONGEST_DELAY_S))


def _obituary(process: ManagedProcess, ends: int, ran_s: float, delay_s: float) -> str:
    how = f"exit code {process.exit_code}, after {ran_s:.1f} s"
    if ends >= _CRASH_LOOP:
        problem = f"{process.name} keeps crashing: {ends} times in a row ({how})"
    else:
        problem = f"{process.name} ended ({how})"
    tail = [f"    {line}" for line in process.log_tail(_TAIL_LINES)]
    return "\n".join(
        [f"{problem}; starting it again in {delay_s:g} s", f"  log: {process.log_path}", *tail]
    )
