"""Many models on one worker: a cold one beside a hot one, and two that do not fit together.

python benchmarks/many_models.py [SECONDS [SECONDS_OF_TURNS]]
"""

from __future__ import annotations

import http.client
import itertools
import json
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from cli.local_stack import DEFAULT_MODEL, LocalStack

_GOLDEN = Path(__file__).parents[1] / "tests" / "golden"
_HOT_CLIENTS = 8
_HOT_TEXTS = ["The canary sang in the mine, and so the miners went on working. " * 3] * 16
_EVERY_S = 0.05
# More than the weights of either golden checkpoint, less than those of both.
_TIGHT_BYTES = "500000"
# No worker is up yet, or the queue is full.
_COME_AGAIN = (HTTPStatus.ACCEPTED, HTTPStatus.SERVICE_UNAVAILABLE)
# Of each part with the hot model, and of each with two models by turns.
_SECONDS = (10.0, 60.0)


def encode(address: str, model: str, texts: list[str]) -> float:
    """Seconds that a request took, with what it was told to wait."""
    started = time.perf_counter()
    body = json.dumps({"items": [{"text": text} for text in texts]})
    while (wait_s := asked(address, f"/v1/encode/{model}", body)) is not None:
        time.sleep(wait_s)
    return time.perf_counter() - started


def asked(address: str, path: str, body: str) -> float | None:
    """How long to wait before the request is made again; None once it has been answered."""
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("POST", path, body)
    reply = connection.getresponse()
    answer = reply.read()
    connection.close()
    if reply.status in _COME_AGAIN:
        return float(reply.headers["Retry-After"])
    assert reply.status == HTTPStatus.OK, answer[:500]
    return None


def latencies(address: str, models: Sequence[str], seconds: float) -> list[float]:
    """Ask the models by turns, one request at a time."""
    end, found, turns = time.monotonic() + seconds, [], itertools.cycle(models)
    while time.monotonic() < end:
        found.append(encode(address, next(turns), ["water"]))
        time.sleep(_EVERY_S)
    return found


def show(label: str, found: list[float]) -> None:
    cuts = [cut * 1e3 for cut in statistics.quantiles(found, n=100)]
    times = f"p50 {cuts[49]:6.1f}  p99 {cuts[98]:6.1f}  longest {max(found) * 1e3:6.0f} ms"
    print(f"{label:<12} {len(found):4} requests  {times}")


@contextmanager
def serving(golden: dict[str, str], **env: str) -> Iterator[LocalStack]:
    """A cluster with the default model and golden checkpoints, by their names here."""
    default = Path(__file__).parents[1] / "models" / "all-minilm-l6-v2.yaml"
    with tempfile.TemporaryDirectory() as name:
        models = Path(name) / "models"
        models.mkdir()
        (models / default.name).write_text(default.read_text())
        for model_id, checkpoint in golden.items():
            source, tasks = {"directory": str(_GOLDEN / checkpoint)}, {"dense": {"dims": 48}}
            definition = {"model_id": model_id, "sources": [source], "tasks": {"encode": tasks}}
            (models / f"{model_id}.yaml").write_text(json.dumps(definition))
        env = {"SIE_MODELS_DIR": str(models), **env}
        with LocalStack(Path(name) / "stack", env=env) as stack:
            stack.start()
            yield stack


@contextmanager
def hot_clients(address: str) -> Iterator[list[float]]:
    """Clients that keep the hot model busy; their latencies meanwhile."""
    stop, found = threading.Event(), list[float]()

    def client() -> None:
        while not stop.is_set():
            found.append(encode(address, DEFAULT_MODEL, _HOT_TEXTS))

    with ThreadPoolExecutor(_HOT_CLIENTS) as pool:
        clients = [pool.submit(client) for _ in range(_HOT_CLIENTS)]
        time.sleep(1)
        found.clear()
        try:
            yield found
        finally:
            stop.set()
    for each in clients:
        each.result()


def measure_hot_and_cold(seconds: float) -> None:
    with serving({"cold": "bert_mean"}) as stack:
        address = stack.http_address
        encode(address, "cold", ["water"])
        show("cold alone", latencies(address, ["cold"], seconds))
        with hot_clients(address) as hot:
            time.sleep(seconds)
            show("hot alone", list(hot))
        with hot_clients(address) as hot:
            show("cold beside", latencies(address, ["cold"], seconds))
            show("hot beside", list(hot))


def measure_turns(seconds: float) -> None:
    """Two models of which only one fits: one client asks them by turns, then two ask one each."""
    env = {"SIE_MEMORY_BYTES": _TIGHT_BYTES, "SIE_PRELOAD_MODELS": ""}
    with serving({"one": "bert_mean", "other": "distilbert"}, **env) as stack:
        for clients in ([["one", "other"]], [["one"], ["other"]]):
            before = evictions(stack)
            with ThreadPoolExecutor() as pool:
                asking = [
                    pool.submit(latencies, stack.http_address, models, seconds)
                    for models in clients
                ]
            for models, each in zip(clients, asking, strict=True):
                show(" + ".join(models), each.result())
            print(f"{'':<12} {evictions(stack) - before:4.0f} evictions in {seconds:.0f} s")


def evictions(stack: LocalStack) -> float:
    address = f"127.0.0.1:{stack.processes['worker-1'].env['SIE_WORKER_HTTP_PORT']}"
    with urllib.request.urlopen(f"http://{address}/metrics") as reply:
        lines = reply.read().decode().splitlines()
    counted = [line for line in lines if line.startswith("sie_worker_model_evictions_total")]
    return sum(float(line.rpartition(" ")[2]) for line in counted)


def main() -> None:
    seconds, of_turns = (*map(float, sys.argv[1:]), *_SECONDS[len(sys.argv) - 1 :])
    measure_hot_and_cold(seconds)
    measure_turns(of_turns)


if __name__ == "__main__":
    main()
