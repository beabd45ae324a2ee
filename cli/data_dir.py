"""The folder of a local stack, which only one stack may use at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.errors import CommandError


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Makes the folder and holds it. The lock ends with the process, however that ends.

    Raises:
        CommandError: another process holds it, or it cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / "lock").open("w")
    except OSError as error:
        raise CommandError(
            f"cannot write to {directory}: {error.strerror}; choose another folder with --data-dir"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(
                f"another `sie up` uses {directory}; stop it, or choose another folder "
                "with --data-dir"
            ) from None
        yield


def holds_engines(cache_dir: Path) -> bool:
    """Whether an earlier run has left compiled engines."""
    return any(path.is_file() for path in cache_dir.rglob("*"))
