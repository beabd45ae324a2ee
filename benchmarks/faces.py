"""What each face costs: a reply of 1 and of 32 vectors of 384 floats, against the engine alone.

python benchmarks/faces.py [--rounds 60] [--seconds 4]

One client. The engine and every face take their turns within each round, so that a slow moment
strikes all; figures are medians. Below it, what authentication, limits, the access log and traces
cost together, and what a second gateway on the same ports gives.
"""

import argparse
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
from cli.ports import free_port
from sie.inference.v1.inference_service_pb2 import EncodeRequest
from sie.oip import open_inference_pb2 as oip
from worker.loading import LoadedModel

_HERE = Path(__file__).resolve().parent
_CACHE = _HERE.parent / ".sie" / "cache"
_COUNTS = (1, 32)
_ENGINE_ROWS, _DIMS = 4, 384
_TOKEN = "a-token-of-the-benchmark"  # noqa: S105 - it protects nothing
_TOKENS = f"tokens: [{{token: {_TOKEN}, tenant: acme, limits: {{concurrent_requests: 1000}}}}]"

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
        _faces(stack, model, options.rounds)
        _everything_on(stack, Path(directory), options.rounds)
        _two_processes(stack, options.seconds)


def _faces(stack: LocalStack, model: LoadedModel, rounds: int) -> None:
    print(f"{'one client':24}{'texts':>6}{'p50 ms':>9}{'added ms':>10}{'reply bytes':>13}")
    http, rpc = stack.http_address, stack.grpc_address
    faces: dict[str, Call] = {
        "engine alone": lambda given: _engine(model, given),
        "gRPC": _grpc(rpc, "sie.inference.v1.InferenceService/Encode", _encode_request),
        "open inference, raw": _grpc(rpc, "inference.GRPCInferenceService/ModelInfer", _infer),
        "JSON": _http(http, encode_path(DEFAULT_MODEL), _json_body),
        "MessagePack": _http(http, encode_path(DEFAULT_MODEL), _msgpack_body, _MSGPACK),
        "OpenAI, base64": _http(http, "/v1/embeddings", _openai_body),
    }
    for count in _COUNTS:
        took, sizes = _in_turns(faces, count, rounds)
        for name, seconds in took.items():
            added = statistics.median(
                a - b for a, b in zip(seconds, took["engine alone"], strict=True)
            )
            median = statistics.median(seconds)
            row = f"{name:24}{count:6}{median * 1e3:9.2f}{added * 1e3:10.2f}{sizes[name]:13}"
            print(row, flush=True)


def _in_turns(
    calls: dict[str, Call], count: int, rounds: int
) -> tuple[dict[str, list[float]], dict[str, int]]:
    corpus = texts.mixed(512)
    took: dict[str, list[float]] = {name: [] for name in calls}
    sizes: dict[str, int] = {}
    for number in range(rounds + 5):
        given = [corpus[(number * count + i) % len(corpus)] for i in range(count)]
        for name, call in calls.items():
            began = time.perf_counter()
            sizes[name] = call(given)
            if number >= 5:
                took[name].append(time.perf_counter() - began)
    return took, sizes


def _everything_on(stack: LocalStack, directory: Path, rounds: int) -> None:
    tokens = directory / "tokens.yaml"
    tokens.write_text(_TOKENS)
    settings = {
        "all off": {"SIE_ACCESS_LOG": "false"},
        "auth, limits, log, traces": {
            "SIE_AUTH_MODE": "static",
            "SIE_AUTH_FILE": str(tokens),
            "SIE_LOG_JSON": "true",
            # Nobody listens there: spans are made and batched all the same.
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        },
    }
    calls: dict[str, Call] = {}
    for number, (name, env) in enumerate(settings.items(), 2):
        gateway = stack.start_gateway(f"gateway-{number}", **env)
        gateway.wait_ready()
        address = f"127.0.0.1:{gateway.env['SIE_HTTP_PORT']}"
        headers = {"authorization": f"Bearer {_TOKEN}"}
        calls[name] = _http(address, encode_path(DEFAULT_MODEL), _json_body, headers)
    print()
    for count in _COUNTS:
        took, _ = _in_turns(calls, count, 2 * rounds)
        for name, seconds in took.items():
            print(f"{name:28}{count:4} texts: p50 {statistics.median(seconds) * 1e3:.2f} ms")
        off, on = took.values()
        difference = statistics.median(a - b for a, b in zip(on, off, strict=True))
        print(f"{'difference':28}{count:4} texts: {difference * 1e3:.2f} ms", flush=True)


def _two_processes(stack: LocalStack, seconds: float) -> None:
    """Requests that only gateways answer: the models, of 16 connections."""
    ports = {"SIE_HTTP_PORT": str(free_port()), "SIE_GRPC_PORT": str(free_port())}
    address = f"127.0.0.1:{ports['SIE_HTTP_PORT']}"
    print()
    for count in (1, 2):
        stack.start_gateway(f"shared-{count}", SIE_SHARE_PORTS="true", **ports).wait_ready()
        command = [sys.executable, str(_HERE / "load.py"), "post", address, "/v1/configs/resolve"]
        body = orjson.dumps({"model": DEFAULT_MODEL}) + b"\n"
        done = subprocess.run(
            [*command, "16", "1", str(seconds)], input=body, stdout=subprocess.PIPE, check=True
        )
        result = orjson.loads(done.stdout)
        rate, p99 = result["texts_per_second"], result["p99_ms"]
        print(f"gateways on one port: {count}  {rate:.0f} requests/s, p99 {p99:.1f} ms", flush=True)


def _engine(model: LoadedModel, given: Sequence[str]) -> int:
    """Small batches of near-equal length on every stream, as a worker has them."""
    raw.Raw(model, given, _ENGINE_ROWS).throughput()
    return len(given) * _DIMS * 4


def _grpc(address: str, method: str, body: Callable[[Sequence[str]], bytes]) -> Call:
    call = grpc.insecure_channel(address).unary_unary(f"/{method}")
    return lambda given: len(call(body(given)))


def _http(
    address: str,
    path: str,
    body: Callable[[Sequence[str]], bytes],
    headers: dict[str, str] | None = None,
) -> Call:
    host, port = address.split(":")
    connection = socket.create_connection((host, int(port)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    lines = {"host": address, "content-type": "application/json", **(headers or {})}
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
