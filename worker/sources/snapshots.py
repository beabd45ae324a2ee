"""Fetched checkpoints on disk.

    <root>/<key>/            complete, every file checked
    <root>/<key>.partial/    on its way; what is there is taken up again
    <root>/<key>.lock        held by the process that fetches

A snapshot appears by renaming a complete directory, so that it is there wholly or not at all.
Workers that want the same one wait for the one that fetches it.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.sources.progress import Progress

_POLL_S = 0.1


class Snapshots:
    """Finds fetched checkpoints, or has them fetched."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def find(self, key: str) -> Path | None:
        """Return a snapshot's directory, or None."""
        directory = self._root / key
        return directory if directory.is_dir() else None

    def newest(self, prefix: str) -> Path | None:
        """Return the snapshot that came last of those whose key begins so, or None."""
        found = [
            path
            for path in self._root.glob(f"{prefix}*")
            if path.is_dir() and path.suffix != ".partial"
        ]
        return max(found, key=lambda path: path.stat().st_mtime, default=None)

    def fetch(self, key: str, fill: Callable[[Path], None], progress: Progress) -> Path:
        """Return a snapshot's directory; `fill` completes a partial one where there is none."""
        self._root.mkdir(parents=True, exist_ok=True)
        with _locked(self._root / f"{key}.lock", progress):
            found = self.find(key)
            if found is not None:
                return found
            partial = self._root / f"{key}.partial"
            partial.mkdir(exist_ok=True)
            fill(partial)
            return partial.rename(self._root / key)


@contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    """Hold a lock that the system gives back should this process die."""
    with path.open("wb") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                progress.check()
                time.sleep(_POLL_S)
        yield
