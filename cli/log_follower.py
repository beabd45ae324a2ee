"""Prints what processes write to their logs, line by line, under their names."""

from collections.abc import Callable, Iterable

from cli.managed_process import ManagedProcess


class LogFollower:
    """Follows the logs of processes from their present ends."""

    def __init__(self, processes: Iterable[ManagedProcess], say: Callable[[str], None]) -> None:
        self._say = say
        self._read = {process: process.log_path.stat().st_size for process in processes}

    def tick(self) -> None:
        """Prints the whole lines that are new since the last time."""
        for process, read in self._read.items():
            with process.log_path.open("rb") as log:
                log.seek(read)
                new = log.read()
            whole = new[: new.rfind(b"\n") + 1]
            self._read[process] = read + len(whole)
            for line in whole.decode(errors="replace").splitlines():
                self._say(f"{process.name:<10} | {line}")
