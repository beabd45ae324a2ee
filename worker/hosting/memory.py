"""What models cost in memory, and how much there is to spend.

Behind one small interface, because a GPU answers the same questions through its driver.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from worker.machine import memory_bytes

_STATM = Path("/proc/self/statm")
# Limits of the container, cgroup v2 and v1; "max" or a huge number where there is none.
_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
# The rest is for the worker itself, for batches in flight and for the machine's page cache.
_SHARE = 0.7


class Memory(Protocol):
    """The memory of one device."""

    def used_bytes(self) -> int:
        """Return what this process holds of it."""

    def total_bytes(self) -> int:
        """Return what this process may hold of it; 0 where that is not known."""


class HostMemory:
    """The memory of the machine, or of the container around this process."""

    def used_bytes(self) -> int:
        """See Memory.used_bytes: resident pages, mapped weights among them (proc(5))."""
        try:
            pages = int(_STATM.read_text().split()[1])
        except OSError:
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")

    def total_bytes(self) -> int:
        """See Memory.total_bytes."""
        _, available = memory_bytes()
        known = [limit for limit in (*map(_limit, _LIMITS), available) if limit]
        return min(known, default=0)


def default_budget(memory: Memory) -> int:
    """Return how many bytes models may take unless somebody says otherwise; 0 is no bound."""
    return int(memory.total_bytes() * _SHARE)


def release_unused() -> None:
    """Give memory that nobody uses back to the system.

    glibc keeps freed pages for later; after a model of its size was let go that is too much.
    """
    gc.collect()
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@functools.cache
def _malloc_trim() -> Callable[[int], int] | None:
    """Return glibc's malloc_trim(3); other C libraries have none."""
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
    return trim


def _limit(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0
