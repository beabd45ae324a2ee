"""What file systems behind URLs differ in."""

from typing import Any

from fsspec.implementations.local import LocalFileSystem


def make_parent(system: Any, path: str) -> None:
    """Makes the directory of a file to be written, where there are directories.

    Buckets have none; for a bucket that is not there `makedirs` would make one, so that a
    misspelt name would look like an empty store.
    """
    if isinstance(system, LocalFileSystem):
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
