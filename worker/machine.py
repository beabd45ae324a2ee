"""What this machine is made of, as Linux tells it (proc(5)); elsewhere as far as Python knows."""

from __future__ import annotations

import functools
import os
import platform
from collections.abc import Sequence
from pathlib import Path

# Without these bfloat16 is converted, and slower than float32.
_BF16 = {"amx_bf16", "avx512_bf16"}
# Without these products of int8 are rounded to 16 bits on the way, or emulated; Arm has its own.
_INT8 = {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"}


def available_cores() -> int:
    """How many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """Return the processor's model name, or its architecture."""
    return _cpu_field("model name") or platform.processor() or platform.machine()


def multiplies_bf16() -> bool:
    return not _BF16.isdisjoint(_flags())


def multiplies_int8() -> bool:
    return not _INT8.isdisjoint(_flags())


def has_nvidia_gpu() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*"))


def memory_bytes() -> tuple[int, int]:
    """Return total and available memory in bytes; zeros where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0, 0
    fields = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    return fields["MemTotal"], fields["MemAvailable"]


def _flags() -> Sequence[str]:
    return (_cpu_field("flags") or _cpu_field("Features")).split()


@functools.cache
def _cpu_field(name: str) -> str:
    """Return an entry of the first processor; "" where there is none."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    values = (line.partition(":")[2].strip() for line in lines if line.startswith(name))
    return next(values, "")
