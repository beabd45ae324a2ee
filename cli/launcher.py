"""Runs a command that cannot outlive its parent: `launcher.py PARENT_PID COMMAND...`.

A program of its own rather than a `preexec_fn`: code between fork and exec is unsafe in a
process with threads, and both gRPC and the supervisor have them.
"""

import ctypes
import os
import signal
import sys

# <linux/prctl.h>
_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # Died before the line above: nobody would ever end us.
        if os.getppid() != parent:
            sys.exit(1)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
