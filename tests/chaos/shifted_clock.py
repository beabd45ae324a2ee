"""Runs a service whose clock is off: `shifted_clock.py SECONDS MODULE`."""

import runpy
import sys
import time


def main() -> None:
    shift, module = float(sys.argv[1]), sys.argv[2]
    true_time, true_time_ns = time.time, time.time_ns
    time.time = lambda: true_time() + shift
    time.time_ns = lambda: true_time_ns() + int(shift * 1e9)
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
