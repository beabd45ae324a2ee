"""Ours and what a user would install instead, on the same texts, by the same client, in one run.

    benchmarks/peers/install.sh
    python benchmarks/peers/bench.py [PEER...] [--rounds N] [--seconds S] [--words LOW HIGH]

One text a request over HTTP. Each round has a slice of every server, one after the other, and
ratios are medians over rounds, since the machine's speed drifts. A peer whose turn it is not is
stopped, so that its threads take nothing from the others.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parents[1]
sys.path[:0] = [str(_HERE.parent), str(_ROOT)]

import texts  # noqa: E402 - as above

from cli.local_stack import DEFAULT_MODEL, LocalStack  # noqa: E402 - as above
from cli.ports import free_port  # noqa: E402 - as above

_HOME = _ROOT / ".sie" / "peers"
_MODEL = _HOME / "model"
_OURS = "sie"
_START_S = 120.0


@dataclass(frozen=True)
class Peer:
    """How a server is started and asked.

    Attributes:
        command: what starts it, for its Python, the checkpoint and a port.
        path: of its URL.
        body: a request for one text.
        vector: of a reply.

    """

    command: Callable[[Path, Path, int], list[str]]
    path: str
    body: Callable[[str], dict[str, Any]]
    vector: Callable[[Any], list[float]]


def _script(*script: str) -> Callable[[Path, Path, int], list[str]]:
    return lambda python, model, port: [str(python), *script, str(model), str(port)]


def _infinity(python: Path, model: Path, port: int) -> list[str]:
    program = str(python.parent / "infinity_emb")
    options = ["--engine", "optimum", "--device", "cpu", "--batch-size", "32"]
    more = [
        "--no-model-warmup",
        "--no-bettertransformer",
        "--pooling-method",
        "mean",
        "--served-model-name",
        "minilm",
    ]
    return [program, "v2", "--model-id", str(model), "--port", str(port), *options, *more]


def _mlserver(python: Path, model: Path, port: int) -> list[str]:
    """Write the settings that its documentation asks for: adaptive batching, two processes."""
    work = _HOME / "mlserver" / "work"
    work.mkdir(parents=True, exist_ok=True)
    shutil.copy(_HERE / "mlserver_runtime.py", work)
    batching = {"max_batch_size": 32, "max_batch_time": 0.01}
    runtime = {"name": "minilm", "implementation": "mlserver_runtime.Encoder"}
    parameters = {"parameters": {"uri": str(model)}}
    (work / "model-settings.json").write_text(json.dumps(runtime | batching | parameters))
    ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    settings = {"parallel_workers": 2, "host": "127.0.0.1"}
    (work / "settings.json").write_text(json.dumps(settings | ports))
    return [str(python.parent / "mlserver"), "start", str(work)]


def _flat(reply: Any) -> list[float]:
    return list(reply["embedding"])


PEERS: dict[str, Peer] = {
    "onnxruntime-fastapi": Peer(
        _script("servers.py", "onnxruntime-fastapi"), "/embed", lambda text: {"text": text}, _flat
    ),
    "sentence-transformers-fastapi": Peer(
        _script("servers.py", "sentence-transformers-fastapi"),
        "/embed",
        lambda text: {"text": text},
        _flat,
    ),
    "infinity": Peer(
        _infinity,
        "/embeddings",
        lambda text: {"model": "minilm", "input": [text]},
        lambda reply: reply["data"][0]["embedding"],
    ),
    "litserve": Peer(_script("litserve_server.py"), "/predict", lambda text: {"text": text}, _flat),
    "mlserver": Peer(
        _mlserver,
        "/v2/models/minilm/infer",
        lambda text: {
            "inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}]
        },
        lambda reply: reply["outputs"][0]["data"],
    ),
}


@dataclass
class Server:
    """A running server, ours or a peer's."""

    address: str
    path: str
    body: Callable[[str], dict[str, Any]]
    vector: Callable[[Any], list[float]]
    process: subprocess.Popen[bytes] | None = None

    def ask(self, text: str) -> list[float]:
        request = urllib.request.Request(
            f"http://{self.address}{self.path}",
            json.dumps(self.body(text)).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            return self.vector(json.loads(reply.read()))

    def slice(self, corpus: list[str], concurrency: int, seconds: float) -> dict[str, float]:
        """Measure one slice of load."""
        command = [sys.executable, str(_HERE.parent / "load.py"), "post", self.address, self.path]
        bodies = b"\n".join(json.dumps(self.body(text)).encode() for text in corpus)
        self.signal(signal.SIGCONT)
        self.ask(corpus[0])
        output = subprocess.run(
            [*command, str(concurrency), "1", str(seconds)],
            input=bodies,
            stdout=subprocess.PIPE,
            check=True,
        )
        self.signal(signal.SIGSTOP)
        found: dict[str, float] = json.loads(output.stdout)
        return found

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, number)


def ours(stack: LocalStack) -> Server:
    return Server(
        stack.http_address,
        f"/v1/encode/{DEFAULT_MODEL}",
        lambda text: {"items": [{"text": text}]},
        lambda reply: reply["items"][0]["dense"]["values"],
    )


def start(name: str, expected: list[float], text: str) -> Server:
    """Start a peer, wait until it answers, and check that it is the same model."""
    peer, port = PEERS[name], free_port()
    home = _HOME / name
    python = home / "venv" / "bin" / "python"
    if not python.exists():
        raise FileNotFoundError(f"{python}: run benchmarks/peers/install.sh {name}")
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            peer.command(python, _MODEL, port),
            cwd=_HERE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    server = Server(f"127.0.0.1:{port}", peer.path, peer.body, peer.vector, process)
    try:
        vector = _first_answer(server, text)
    except Exception:
        stop(server)
        raise
    cosine = float(np.dot(vector, expected) / np.linalg.norm(vector) / np.linalg.norm(expected))
    print(f"{name}: up, cosine with ours {cosine:.5f}", flush=True)
    server.signal(signal.SIGSTOP)
    return server


def _first_answer(server: Server, text: str) -> list[float]:
    end = time.monotonic() + _START_S
    while True:
        try:
            return server.ask(text)
        except (OSError, urllib.error.URLError):
            assert server.process is not None
            if server.process.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.5)


def stop(server: Server) -> None:
    with contextlib.suppress(ProcessLookupError):
        server.signal(signal.SIGCONT)
        server.signal(signal.SIGTERM)
        assert server.process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(10)
        # Whatever of its group is left.
        server.signal(signal.SIGKILL)


def table(results: dict[str, list[dict[str, float]]]) -> list[str]:
    lines = ["| server | texts/s | p50 ms | p99 ms | ours is |", "| --- | --- | --- | --- | --- |"]
    for name, slices in results.items():
        median = {key: statistics.median(each[key] for each in slices) for key in slices[0]}
        ratio = statistics.median(
            one["texts_per_second"] / other["texts_per_second"]
            for one, other in zip(results[_OURS], slices, strict=True)
        )
        shown = f"{median['texts_per_second']:.0f} | {median['p50_ms']:.0f}"
        lines.append(f"| {name} | {shown} | {median['p99_ms']:.0f} | {ratio:.2f} times |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peers", nargs="*", default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[32, 8])
    parser.add_argument("--words", type=int, nargs=2, default=[6, 34])
    options = parser.parse_args()
    corpus = texts.mixed(512, *options.words)
    with (
        tempfile.TemporaryDirectory(prefix="sie-peers-") as directory,
        LocalStack(Path(directory), cache_dir=_ROOT / ".sie" / "cache") as stack,
    ):
        stack.start()
        servers = {_OURS: ours(stack)}
        expected = servers[_OURS].ask(corpus[0])
        try:
            for name in options.peers:
                try:
                    servers[name] = start(name, expected, corpus[0])
                except Exception as error:  # noqa: BLE001 - the others are measured all the same
                    print(f"{name}: did not start: {error}", flush=True)
            for concurrency in options.concurrency:
                measure(servers, corpus, concurrency, options)
        finally:
            for server in servers.values():
                if server.process is not None:
                    stop(server)


def measure(
    servers: dict[str, Server], corpus: list[str], concurrency: int, options: argparse.Namespace
) -> None:
    results: dict[str, list[dict[str, float]]] = {name: [] for name in servers}
    for _ in range(options.rounds):
        for name, server in servers.items():
            results[name].append(server.slice(corpus, concurrency, options.seconds))
            print(f"{name} {results[name][-1]['texts_per_second']:.0f}", end=" ", flush=True)
    words = "{} to {}".format(*options.words)
    print(f"\n\nconcurrency {concurrency}, one text a request, {words} words\n")
    print("\n".join(table(results)), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
