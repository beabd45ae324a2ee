"""How long a worker takes from the start of its process to its first answer, its engine cached.

python benchmarks/warm_start.py [STARTS]
"""

import statistics
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import http_client

from cli.local_stack import DEFAULT_MODEL, LocalStack

_CACHE = Path(__file__).parents[1] / ".sie" / "cache"


def start(stack: LocalStack) -> float:
    """Seconds from the start of the only worker's process to the first reply."""
    stack.processes["worker-1"].terminate()
    stack.processes["worker-1"].wait(30)
    ask = http_client.blocking(stack.http_address, http_client.encode_path(DEFAULT_MODEL))
    began = time.perf_counter()
    stack.start_worker("worker-1")
    while True:
        try:
            ask("first")
        except AssertionError:
            # No worker is there yet.
            time.sleep(0.01)
        else:
            return time.perf_counter() - began


def phases(stack: LocalStack) -> dict[str, float]:
    """Seconds of each phase, from the worker's metrics."""
    port = stack.processes["worker-1"].env["SIE_WORKER_HTTP_PORT"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as reply:
        lines = reply.read().decode().splitlines()
    wanted = ("sie_worker_model_load_seconds{", "sie_worker_start_seconds{")
    found = (line.rpartition(" ") for line in lines if line.startswith(wanted))
    return {name.split('phase="')[1].split('"')[0]: float(value) for name, _, value in found}


def main() -> None:
    starts = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with (
        tempfile.TemporaryDirectory() as name,
        LocalStack(Path(name), cache_dir=_CACHE) as stack,
    ):
        stack.start()
        took = [start(stack) for _ in range(starts)]
        told = ", ".join(f"{phase} {seconds:.3f}" for phase, seconds in phases(stack).items())
    print(f"start to first reply: median {statistics.median(took):.2f} s of {starts}")
    print(f"fastest {min(took):.2f} s, slowest {max(took):.2f} s; the last one's phases: {told}")


if __name__ == "__main__":
    main()
