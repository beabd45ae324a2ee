"""What each face costs: a reply of 1 and of 32 vectors of 384 floats, against the engine alone.

python benchmarks/faces.py [--rounds 60] [--seconds 4]

One client, through a gateway with authentication, limits, metrics, access log and traces on. The
engine and every face take their turns within each round, so that a slow moment strikes all; figures
are medians, and what a face adds is the median over rounds. The engine alone is what a worker has,
its tokeniser and its runner, in this process: the same batches without anything around them.
Below it, what a gateway with all of that costs more than one without, and what a second gateway on
the same ports gives.
"""

import argparse
import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc
import msgpack
import orjson
import raw
import run
import texts
from http_client import encode_path

from cli.local_stack import DEFAULT_MODEL, LocalStack
from cli.managed_process import ManagedProcess
from cli.ports import HOST, free_port
from sie.inference.v1.inference_service_pb2 import EncodeRequest
from sie.oip import open_inference_pb2 as oip

_HERE = Path(__file__).resolve().parent
_CACHE = _HERE.parent / ".sie" / "cache"
_COUNTS = (1, 32)
_WARM_UP = 5
# Short, since replies are of one size: a long run of the engine would hide what faces cost.
_WORDS = (5, 15)
_DIMS = 384
_TOKEN = "a-token-of-the-benchmark"  # noqa: S105 - it protects nothing
_TOKENS = f"""
tokens:
  - token: {_TOKEN}
    tenant: acme
    limits: {{concurrent_requests: 1000, tokens_per_minute: 1000000000}}
"""
_AUTHORIZATION = {"authorization": f"Bearer {_TOKEN}"}

Call = Callable[[Sequence[str]], int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a slice of throughput")
    options = parser.parse_args()
    model = run.load_model()
    with (
        tempfile.TemporaryDirectory(prefix="sie-faces-") as directory,
        LocalStack(Path(directory), cache_dir=_CACHE) as stack,
    ):
        stack.start()
        everything = _everything(Path(directory))
        with raw.Runs(model) as engine:
            _faces(_gateway(stack, "gateway-2", everything), engine, options.rounds)
        off = _gateway(stack, "gateway-3", {"SIE_ACCESS_LOG": "false"})
        _everything_on(stack.processes["gateway-2"], off, options.rounds)
        _two_processes(stack, everything, options.seconds)


def _everything(directory: Path) -> dict[str, str]:
    """Settings of a gateway that does all that it can for each request."""
    tokens = directory / "tokens.yaml"
    tokens.write_text(_TOKENS)
    return {
        "SIE_AUTH_MODE": "static",
        "SIE_AUTH_FILE": str(tokens),
        "SIE_LOG_JSON": "true",
        # Nobody listens there: spans are made and batched all the same.
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
    }


def _gateway(stack: LocalStack, name: str, settings: dict[str, str]) -> ManagedProcess:
    gateway = stack.start_gateway(name, **settings)
    gateway.wait_ready()
    return gateway


def _faces(gateway: ManagedProcess, engine: raw.Runs, rounds: int) -> None:
    print(
        f"{'one client':24}{'texts':>6}{'p50 ms':>9}{'added ms':>10}{'of engine':>11}{'bytes':>9}"
    )
    http, rpc = _http_address(gateway), f"{HOST}:{gateway.env['SIE_GRPC_PORT']}"
    faces: dict[str, Call] = {
        "engine alone": lambda given: _engine(engine, given),
        "gRPC": _grpc(rpc, "sie.inference.v1.InferenceService/Encode", _encode_request),
        "open inference, raw": _grpc(rpc, "inference.GRPCInferenceService/ModelInfer", _infer),
        "JSON": _http(http, encode_path(DEFAULT_MODEL), _json_body),
        "MessagePack": _http(http, encode_path(DEFAULT_MODEL), _msgpack_body, _MSGPACK),
        "OpenAI, base64": _http(http, "/v1/embeddings", _openai_body),
    }
    for count in _COUNTS:
        took, sizes = _in_turns(faces, count, rounds)
        alone = took["engine alone"]
        for name, seconds in took.items():
            added = statistics.median(a - b for a, b in zip(seconds, alone, strict=True))
            ratio = statistics.median(a / b for a, b in zip(seconds, alone, strict=True))
            median = statistics.median(seconds)
            row = f"{median * 1e3:9.2f}{added * 1e3:10.2f}{ratio:11.2f}{sizes[name]:9}"
            print(f"{name:24}{count:6}{row}", flush=True)


def _in_turns(
    calls: dict[str, Call], count: int, rounds: int
) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Seconds of each call by round, and the bytes of its reply.

    A round begins with another call than the one before, so that none always follows the same.
    """
    corpus = texts.mixed(512, *_WORDS)
    took: dict[str, list[float]] = {name: [] for name in calls}
    sizes: dict[str, int] = {}
    for number in range(rounds + _WARM_UP):
        given = [corpus[(number * count + i) % len(corpus)] for i in range(count)]
        names = list(calls)
        first = number % len(names)
        for name in names[first:] + names[:first]:
            began = time.perf_counter()
            sizes[name] = calls[name](given)
            if number >= _WARM_UP:
                took[name].append(time.perf_counter() - began)
    return took, sizes


def _everything_on(on: ManagedProcess, off: ManagedProcess, rounds: int) -> None:
    path = encode_path(DEFAULT_MODEL)
    calls: dict[str, Call] = {
        "all off": _http(_http_address(off), path, _json_body),
        "auth, limits, log, traces": _http(_http_address(on), path, _json_body),
    }
    print()
    for count in _COUNTS:
        took, _ = _in_turns(calls, count, 2 * rounds)
        for name, seconds in took.items():
            print(f"{name:28}{count:4} texts: p50 {statistics.median(seconds) * 1e3:.2f} ms")
        without, with_all = took.values()
        difference = statistics.median(a - b for a, b in zip(with_all, without, strict=True))
        print(f"{'difference':28}{count:4} texts: {difference * 1e3:.2f} ms", flush=True)


def _two_processes(stack: LocalStack, everything: dict[str, str], seconds: float) -> None:
    """Requests that only gateways answer: a model's bundles, of 16 connections."""
    ports = {"SIE_HTTP_PORT": str(free_port()), "SIE_GRPC_PORT": str(free_port())}
    settings = everything | ports | {"SIE_SHARE_PORTS": "true"}
    gateways: list[ManagedProcess] = []
    print()
    for count in (1, 2):
        gateways.append(_gateway(stack, f"shared-{count}", settings))
        before = _cpu_seconds(gateways)
        began = time.perf_counter()
        result = _resolve(_http_address(gateways[0]), seconds)
        cores = (_cpu_seconds(gateways) - before) / (time.perf_counter() - began)
        rate, p99 = result["texts_per_second"], result["p99_ms"]
        shown = f"{rate:.0f} requests/s, p99 {p99:.1f} ms, on {cores:.2f} cores"
        print(f"gateways on one port: {count}  {shown}", flush=True)


def _resolve(address: str, seconds: float) -> dict[str, float]:
    command = [sys.executable, str(_HERE / "load.py"), "post", address, "/v1/configs/resolve"]
    headers = [f"{name}: {value}" for name, value in _AUTHORIZATION.items()]
    done = subprocess.run(
        [*command, "16", "1", str(seconds), *headers],
        input=orjson.dumps({"model": DEFAULT_MODEL}) + b"\n",
        stdout=subprocess.PIPE,
        check=True,
    )
    result: dict[str, float] = orjson.loads(done.stdout)
    return result


def _cpu_seconds(processes: Sequence[ManagedProcess]) -> float:
    """Time that processes have had of cores."""
    ticks = 0
    for process in processes:
        # User and system time, after the name in brackets, which may hold anything.
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _http_address(gateway: ManagedProcess) -> str:
    return f"{HOST}:{gateway.env['SIE_HTTP_PORT']}"


def _engine(engine: raw.Runs, given: Sequence[str]) -> int:
    engine.encode(given)
    return len(given) * _DIMS * 4


def _grpc(address: str, method: str, body: Callable[[Sequence[str]], bytes]) -> Call:
    call = grpc.insecure_channel(address).unary_unary(f"/{method}")
    metadata = tuple(_AUTHORIZATION.items())
    return lambda given: len(call(body(given), metadata=metadata))


def _http(
    address: str,
    path: str,
    body: Callable[[Sequence[str]], bytes],
    headers: dict[str, str] | None = None,
) -> Call:
    host, port = address.split(":")
    connection = socket.create_connection((host, int(port)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    lines = {
        "host": address,
        "content-type": "application/json",
        **_AUTHORIZATION,
        **(headers or {}),
    }
    head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items())

    def call(given: Sequence[str]) -> int:
        content = body(given)
        connection.sendall(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
        received = bytearray()
        while b"\r\n\r\n" not in received:
            received += connection.recv(1 << 16)
        top, _, rest = bytes(received).partition(b"\r\n\r\n")
        assert b" 200 " in top.split(b"\r\n")[0], bytes(received)[:500]
        length = int(top.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        missing = length - len(rest)
        while missing > 0:
            missing -= len(connection.recv(1 << 16))
        return length

    return call


_MSGPACK = {"content-type": "application/msgpack", "accept": "application/msgpack"}


def _encode_request(given: Sequence[str]) -> bytes:
    items = [{"text": text} for text in given]
    return EncodeRequest(model=DEFAULT_MODEL, items=items).SerializeToString()


def _infer(given: Sequence[str]) -> bytes:
    raw = b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in given)
    tensor = oip.ModelInferRequest.InferInputTensor(
        name="text", datatype="BYTES", shape=[len(given)]
    )
    return oip.ModelInferRequest(
        model_name=DEFAULT_MODEL, inputs=[tensor], raw_input_contents=[raw]
    ).SerializeToString()


def _json_body(given: Sequence[str]) -> bytes:
    return orjson.dumps({"items": [{"text": text} for text in given]})


def _msgpack_body(given: Sequence[str]) -> bytes:
    packed: bytes = msgpack.packb({"items": [{"text": text} for text in given]})
    return packed


def _openai_body(given: Sequence[str]) -> bytes:
    return orjson.dumps({"model": DEFAULT_MODEL, "input": list(given), "encoding_format": "base64"})


if __name__ == "__main__":
    main()
