"""What is fuzzed: every place where bytes of strangers become something else."""

import asyncio
import base64
import gzip
import io
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple

import orjson
from google.protobuf.message import Message
from PIL import Image
from prometheus_client import CollectorRegistry

from fuzzing.mutations import mutated, reshaped
from fuzzing.seeds import BODIES, MODEL, YAML
from gateway import validation
from gateway.api import Api
from gateway.auth.guard import Guard
from gateway.batches.http_files import Form
from gateway.endpoint import Call, Endpoint, Reply
from gateway.grpc_face import parse
from gateway.http.body import read_body
from gateway.http.codec import Codec
from gateway.http.disconnect import DisconnectWatch
from gateway.http.msgpack import pack
from gateway.http.multipart import MultipartSplitter
from gateway.http.ndjson import NDJSON, ORDER_HEADER, LineCalls
from gateway.json_calls import JsonCalls
from gateway.oip.inputs import read_inputs
from gateway.oip.rest_in import read_infer
from gateway.transcoder.routes import RouteTable, routes_of
from gateway.verbs import encode, extract, score, tokenize
from servicekit.errors import invalid, spec_of
from sie.compat.v1 import (
    openai_service_pb2,
    rerank_service_pb2,
    tei_service_pb2,
    tei_text_service_pb2,
)
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1 import inference_service_pb2
from sie.pool.v1 import pool_service_pb2
from sie.registry.v1 import registry_admin_service_pb2
from worker.images.decoding import decode

MAX_BYTES = 1 << 20
MAX_PIXELS = 4_000_000
_FILES = (
    inference_service_pb2,
    openai_service_pb2,
    rerank_service_pb2,
    tei_service_pb2,
    tei_text_service_pb2,
    pool_service_pb2,
    registry_admin_service_pb2,
)
_VERBS = {verb.NAME: verb for verb in (encode, score, extract, tokenize)}
_JSON = {"content-type": "application/json"}
_MSGPACK = {"content-type": "application/msgpack"}
_BOUNDARY = "b0undary"
_LINE_PATHS = ("/v1/encode/m", "/v1/score/m", "/v1/embeddings", "/similarity", "/tokenize")
# Some lines are longer.
_MOST_LINE_BYTES = 1500
_SERVER_ERROR = 500


class Target(NamedTuple):
    """A decoder.

    Attributes:
        make: an input, from a source of chance.
        decode: takes an input; may raise what is meant for the sender, and nothing else.
    """

    make: Callable[[Random], Any]
    decode: Callable[[Any], None]


class _Case(NamedTuple):
    """A request: its route, and its body as a value and as bytes."""

    path: str
    endpoint: Endpoint
    body: bytes


class _Blocks(NamedTuple):
    """A body as it comes, and the header that says how to read it."""

    header: str
    blocks: Sequence[bytes]


def targets() -> dict[str, Target]:
    """Every target by its name."""
    edge = _Edge()
    lines = _LineEdge(edge)
    images = list(_pictures())
    infers = [_binary_infer(), orjson.dumps(BODIES["/infer"])]
    return {
        "json": Target(edge.json_case, lambda case: edge.decode(case, _JSON)),
        "msgpack": Target(edge.msgpack_case, lambda case: edge.decode(case, _MSGPACK)),
        "yaml": Target(edge.yaml_case, lambda case: edge.decode(case, {"content-type": YAML})),
        "protobuf": Target(edge.protobuf_case, edge.decode_protobuf),
        "base64": Target(_base64_case, edge.decode_base64),
        "gzip": Target(_any_of([gzip.compress(b'{"items": []}' * 9)]), edge.decode_gzip),
        "ndjson": Target(lines.case, lines.decode),
        "multipart": Target(_form_case, edge.decode_form),
        "tensors": Target(_any_of(infers), _decode_infer),
        "images": Target(_any_of(images), lambda data: decode(data, max_pixels=MAX_PIXELS).close()),
    }


class _Checks:
    """Answers every rpc with an empty response, once its request was checked."""

    def __getattr__(self, name: str) -> Any:
        async def answer(request: Message, _call: Call) -> Reply:
            _check(name, request)
            return Reply(b"", {})

        return answer


class _Edge:
    """The codecs of every route, with no more than checks behind them."""

    def __init__(self) -> None:
        services = [
            (service, _Checks())
            for file in _FILES
            for service in file.DESCRIPTOR.services_by_name.values()
        ]
        self.api = Api(
            services,
            default_timeout_s=1,
            max_timeout_s=1,
            registry=CollectorRegistry(),
            guard=Guard(None),
        )
        routes = [
            route for endpoint in self.api.endpoints.values() for route in routes_of(endpoint)
        ]
        self._table = RouteTable(routes)
        self._codecs = {route: Codec(route) for route in routes}
        self.loop = asyncio.new_event_loop()
        self._bodies = [(path, body) for path, body in BODIES.items() if path != "/infer"]
        self._messages = {
            path: self._read(path, _JSON, orjson.dumps(body)).SerializeToString()
            for path, body in self._bodies
        }

    def json_case(self, random: Random) -> _Case:
        return self._case(random, orjson.dumps, packed=False)

    def msgpack_case(self, random: Random) -> _Case:
        return self._case(random, pack, packed=True)

    def yaml_case(self, random: Random) -> _Case:
        path = "/v1/configs/models"
        body = mutated(_MODEL_YAML, b"&a [*a, *a]\n!!python/object:os.system {}\n", random)
        return _Case(path, self._route(path).endpoint, body)

    def protobuf_case(self, random: Random) -> _Case:
        path = random.choice(list(self._messages))
        body = mutated(self._messages[path], random.choice(list(self._messages.values())), random)
        return _Case(path, self._route(path).endpoint, body)

    def decode(self, case: _Case, headers: Mapping[str, str]) -> None:
        _check(case.endpoint.label, self._read(case.path, headers, case.body))

    def decode_protobuf(self, case: _Case) -> None:
        _check(case.endpoint.label, parse(case.endpoint.request_class, case.body, MAX_BYTES))

    def decode_base64(self, text: str) -> None:
        body = {"items": [{"images": [{"data": text}]}]}
        self._read("/v1/encode/m", _JSON, orjson.dumps(body))

    def decode_gzip(self, body: bytes) -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        self.loop.run_until_complete(read_body({"content-encoding": "gzip"}, receive, MAX_BYTES))

    def decode_form(self, case: _Blocks) -> None:
        async def read() -> None:
            form = Form(MultipartSplitter(case.header), _each(case.blocks))
            await form.until_file()
            async for _ in form.content():
                pass

        self.loop.run_until_complete(read())

    def _case(self, random: Random, write: Callable[[Any], bytes], *, packed: bool) -> _Case:
        path, value = random.choice(self._bodies)
        route = self._route(path)
        if random.random() < 0.7:
            value = reshaped(value, random, packed=packed)
        try:
            body = write(value)
        except (TypeError, ValueError, OverflowError, RecursionError):
            body = write(None)
        if random.random() < 0.5:
            body = mutated(body, write(random.choice(self._bodies)[1]), random)
        return _Case(path, route.endpoint, body)

    def _route(self, path: str) -> Any:
        return self._table.find("POST", path).route

    def _read(self, path: str, headers: Mapping[str, str], body: bytes) -> Message:
        route, captured = self._table.find("POST", path)
        reading = self._codecs[route].read(headers, captured, "", body)
        return self.loop.run_until_complete(reading)


class _LineEdge:
    """The reader of lines, in front of the same checks."""

    def __init__(self, edge: _Edge) -> None:
        self._calls = LineCalls(edge.api, JsonCalls(edge.api), _MOST_LINE_BYTES)
        self._loop = edge.loop

    def case(self, random: Random) -> tuple[str, _Blocks]:
        path = random.choice(_LINE_PATHS)
        values = [dict(BODIES[path], key=str(n)) for n in range(random.randrange(1, 5))]
        body = b"\n".join(orjson.dumps(value) for value in values)
        if random.random() < 0.8:
            body = mutated(body, b'\n\r\n{"text": "a"}\n\n', random)
        order = random.choice(("", "sent", "ready", "READY", "other"))
        return path, _Blocks(order, _cut(body, random))

    def decode(self, case: tuple[str, _Blocks]) -> None:
        answers = self._loop.run_until_complete(self._read(*case))
        errors = [answer["error"] for answer in answers if "error" in answer]
        for error in errors:
            reason = ErrorReason.Value(f"ERROR_REASON_{error['code']}")
            assert spec_of(reason).http_status < _SERVER_ERROR, error
        if len(errors) == len(answers):
            raise invalid("line", "not one was taken")

    async def _read(self, path: str, case: _Blocks) -> list[Any]:
        events = [{"type": "http.request", "body": each, "more_body": True} for each in case.blocks]
        left = iter([*events, {"type": "http.request"}])

        async def receive() -> dict[str, Any]:
            if (event := next(left, None)) is None:
                await asyncio.Event().wait()  # The client stays, and sends nothing more.
            return event

        headers = {"content-type": NDJSON, ORDER_HEADER: case.header}
        with DisconnectWatch(receive) as watch:
            response = self._calls.respond(path, headers, "", "id", receive, watch)
            return [orjson.loads(answer) async for answer in response.chunks]


def _check(rpc: str, request: Any) -> None:
    """What comes after decoding and before the queue."""
    verb = _VERBS.get(rpc)
    if verb is not None:
        verb.check(request, MODEL, max_items=64)
        for item in request.items:
            validation.check_item(item, "item", MODEL, precomputed=True, token_ids=True)


def _any_of(seeds: Sequence[bytes]) -> Callable[[Random], bytes]:
    return lambda random: mutated(random.choice(seeds), random.choice(seeds), random)


def _form_case(random: Random) -> _Blocks:
    fields = [("purpose", "", b"batch"), ("file", "in.jsonl", b"{}\n" * random.randrange(900))]
    random.shuffle(fields)
    mark = f"--{_BOUNDARY}".encode()
    body = b"".join(
        b'%s\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
        % (mark, name.encode(), f'; filename="{file}"'.encode() if file else b"", content)
        for name, file, content in fields
    )
    header = f"multipart/form-data; boundary={_BOUNDARY}".encode()
    if random.random() < 0.1:
        header = mutated(header, b'"; boundary*0=a', random)
    if random.random() < 0.7:
        body = mutated(body + mark + b"--\r\n", b"\r\n" + mark + b"--", random)
    else:
        body += mark + b"--\r\n"
    return _Blocks(header.decode("latin-1"), _cut(body, random))


def _cut(body: bytes, random: Random) -> list[bytes]:
    """A body in blocks of any sizes."""
    places = sorted(random.randrange(len(body) + 1) for _ in range(random.choice((0, 1, 5))))
    return [body[start:end] for start, end in pairwise((0, *places, len(body)))]


async def _each(blocks: Sequence[bytes]) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block


def _base64_case(random: Random) -> str:
    text = base64.b64encode(random.randbytes(random.randrange(40)))
    return mutated(text, b"-_=+/ \n", random).decode("latin-1")


def _binary_infer() -> bytes:
    head = {
        "inputs": [
            {
                "name": "text",
                "shape": [2],
                "datatype": "BYTES",
                "parameters": {"binary_data_size": 13},
            }
        ]
    }
    return orjson.dumps(head) + b"\x05\0\0\0Hello\0\0\0\0"


def _decode_infer(body: bytes) -> None:
    for header_length in (None, str(body.rfind(b"}") + 1)):
        read = read_infer(body, header_length, 64)
        read_inputs(read.message, ["text", "query"], 64)


def _pictures() -> Iterator[bytes]:
    picture = Image.linear_gradient("L").resize((24, 16)).convert("RGB")
    for kind in ("PNG", "JPEG", "WEBP", "GIF"):
        data = io.BytesIO()
        picture.save(data, kind)
        yield data.getvalue()
    data = io.BytesIO()
    picture.save(data, "WEBP", save_all=True, append_images=[picture])
    yield data.getvalue()


_MODEL_YAML = b"""\
model_id: org/model
sources: [{hugging_face: {repo: org/model, revision: main}}]
inputs: [text]
tasks: {encode: {dense: {dims: 384}}}
profiles: {default: {normalize: true}, fast: {extends: default, precision: int8}}
max_sequence_length: 512
"""
