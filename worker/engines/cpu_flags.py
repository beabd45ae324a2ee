"""What the CPU multiplies by itself, as proc(5) spells it."""

from __future__ import annotations

import functools
from pathlib import Path

# Without these bfloat16 is converted, and slower than float32.
_BF16 = {"amx_bf16", "avx512_bf16"}
# Without these products of int8 are rounded to 16 bits on the way, or emulated; Arm has its own.
_INT8 = {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"}


def multiplies_bf16() -> bool:
    return bool(_BF16 & _flags())


def multiplies_int8() -> bool:
    return bool(_INT8 & _flags())


@functools.cache
def _flags() -> frozenset[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return frozenset()
    line = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return frozenset(line.partition(":")[2].split())
