"""What a bulk job costs interactive work: latency alone, and beside a batch in the same lane.

    python benchmarks/bulk_beside_interactive.py [--rounds 3] [--seconds 8] [--clients 1 4]

A cluster with one worker, a batch of more than it can compute, and clients that each wait for
their reply and send the next text. Rounds alternate, alone and beside, so that a machine whose
speed drifts slows both; what is shown is the median over rounds, and the ratio of the two.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import texts

from cli.local_stack import DEFAULT_MODEL, LocalStack

_HERE = Path(__file__).resolve().parent
_CACHE = _HERE.parent / ".sie" / "cache"
# Of which the lane cannot compute as many in a round.
_REQUESTS = 10_000
_WARM_S = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of a round")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4])
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalStack(Path(folder), cache_dir=_CACHE) as stack,
    ):
        stack.start(workers=1)
        _interactive(stack.http_address, 1, _WARM_S)
        for clients in options.clients:
            _compare(stack.http_address, clients, options.rounds, options.seconds)


def _compare(address: str, clients: int, rounds: int, seconds: float) -> None:
    alone: list[dict[str, float]] = []
    beside: list[dict[str, float]] = []
    bulk: list[float] = []
    for _ in range(rounds):
        alone.append(_interactive(address, clients, seconds))
        batch = _begin(address)
        before, since = _done(address, batch), time.perf_counter()
        beside.append(_interactive(address, clients, seconds))
        bulk.append((_done(address, batch) - before) / (time.perf_counter() - since))
        _end(address, batch)
    print(f"{clients} clients, bulk {statistics.median(bulk):.0f} texts/s beside them", flush=True)
    for name, unit in (("p50_ms", "ms"), ("p99_ms", "ms"), ("texts_per_second", "texts/s")):
        one = statistics.median(each[name] for each in alone)
        other = statistics.median(each[name] for each in beside)
        print(
            f"  {name:16}  alone {one:6.1f} {unit}   beside {other:6.1f} {unit}"
            f"   {other / one:4.2f}x",
            flush=True,
        )


def _interactive(address: str, clients: int, seconds: float) -> dict[str, float]:
    """What clients in a process of their own see."""
    command = [sys.executable, str(_HERE / "load.py"), "http", address, DEFAULT_MODEL]
    command += [str(clients), "1", str(seconds)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seen: dict[str, float] = json.loads(done.stdout)
    return seen


def _begin(address: str) -> str:
    """A batch that computes; its id."""
    lines = "\n".join(
        json.dumps(
            {
                "custom_id": str(number),
                "method": "POST",
                "url": "/v1/embeddings",
                "body": {"model": DEFAULT_MODEL, "input": text, "encoding_format": "base64"},
            }
        )
        for number, text in enumerate(texts.mixed(_REQUESTS))
    )
    batch = _ask(address, "POST", "/v1/batches", {"input": lines, "endpoint": "/v1/embeddings"})
    while not _done(address, batch["id"]):
        time.sleep(0.1)
    return str(batch["id"])


def _done(address: str, batch: str) -> int:
    counts = _ask(address, "GET", f"/v1/batches/{batch}")["request_counts"]
    return int(counts["completed"])


def _end(address: str, batch: str) -> None:
    _ask(address, "POST", f"/v1/batches/{batch}/cancel")
    while (found := _ask(address, "GET", f"/v1/batches/{batch}"))["status"] != "cancelled":
        time.sleep(0.1)
    for key in ("input_file_id", "output_file_id"):
        _ask(address, "DELETE", f"/v1/files/{found[key]}")


def _ask(address: str, method: str, path: str, body: object = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://{address}{path}", data, headers, method=method)
    with urllib.request.urlopen(request) as reply:
        value: dict[str, Any] = json.load(reply)
    return value


if __name__ == "__main__":
    main()
