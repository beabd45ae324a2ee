"""A file system of a few megabytes, seen by one process alone, and a way to leave no room in it."""

import shutil
from io import FileIO
from pathlib import Path


def on_small_disk(directory: Path, mib: int) -> list[str]:
    """What runs the command behind it where `directory` is a file system of that size."""
    unshare = shutil.which("unshare")
    assert unshare is not None, "unshare is missing"
    mount = f'mount -t tmpfs -o size={mib}m small "$0" && exec "$@"'
    return [unshare, "--map-root-user", "--mount", "sh", "-c", mount, str(directory)]


def fill(pid: int, directory: Path) -> Path:
    """Leaves no room in the file system that a process has at a directory.

    Returns:
        The file that takes the room.
    """
    ballast = Path(f"/proc/{pid}/root{directory}/ballast")
    with FileIO(ballast, "w") as file:
        for size in (1 << 16, 1 << 9, 1):
            _write_until_full(file, bytes(size))
    return ballast


def _write_until_full(file: FileIO, block: bytes) -> None:
    try:
        while file.write(block):
            pass
    except OSError:
        return
