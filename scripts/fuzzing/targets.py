"""What is fuzzed: every place where bytes of strangers become something else."""

import asyncio
import base64
import gzip
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

import orjson
from google.protobuf.message import Message
from PIL import Image
from prometheus_client import CollectorRegistry

from fuzzing.mutations import mutated, reshaped
from fuzzing.seeds import BODIES, MODEL, YAML
from gateway import validation
from gateway.api import Api, Endpoint
from gateway.auth.guard import Guard
from gateway.grpc_face import parse
from gateway.http_body import read_body
from gateway.http_codec import Codec
from gateway.http_msgpack import pack
from gateway.oip.inputs import read_inputs
from gateway.oip.rest_in import read_infer
from gateway.transcoder.routes import RouteTable, routes_of
from gateway.verbs import encode, extract, score, tokenize
from sie.compat.v1 import (
    openai_service_pb2,
    rerank_service_pb2,
    tei_service_pb2,
    tei_text_service_pb2,
)
from sie.inference.v1 import inference_service_pb2
from sie.pool.v1 import pool_service_pb2
from sie.registry.v1 import registry_admin_service_pb2
from worker.images import decode

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


def targets() -> dict[str, Target]:
    """Every target by its name."""
    edge = _Edge()
    images = list(_pictures())
    infers = [_binary_infer(), orjson.dumps(BODIES["/infer"])]
    return {
        "json": Target(edge.json_case, lambda case: edge.decode(case, _JSON)),
        "msgpack": Target(edge.msgpack_case, lambda case: edge.decode(case, _MSGPACK)),
        "yaml": Target(edge.yaml_case, lambda case: edge.decode(case, {"content-type": YAML})),
        "protobuf": Target(edge.protobuf_case, edge.decode_protobuf),
        "base64": Target(_base64_case, edge.decode_base64),
        "gzip": Target(_any_of([gzip.compress(b'{"items": []}' * 9)]), edge.decode_gzip),
        "tensors": Target(_any_of(infers), _decode_infer),
        "images": Target(_any_of(images), lambda data: decode(data, max_pixels=MAX_PIXELS).close()),
    }


class _Edge:
    """The codecs of every route, with nothing behind them."""

    def __init__(self) -> None:
        services = [
            (service, object())
            for file in _FILES
            for service in file.DESCRIPTOR.services_by_name.values()
        ]
        api = Api(
            services,
            default_timeout_s=1,
            max_timeout_s=1,
            registry=CollectorRegistry(),
            guard=Guard(None),
        )
        routes = [route for endpoint in api.endpoints.values() for route in routes_of(endpoint)]
        self._table = RouteTable(routes)
        self._codecs = {route: Codec(route) for route in routes}
        self._loop = asyncio.new_event_loop()
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
        _check(case.endpoint, self._read(case.path, headers, case.body))

    def decode_protobuf(self, case: _Case) -> None:
        _check(case.endpoint, parse(case.endpoint.request_class, case.body, MAX_BYTES))

    def decode_base64(self, text: str) -> None:
        body = {"items": [{"images": [{"data": text}]}]}
        self._read("/v1/encode/m", _JSON, orjson.dumps(body))

    def decode_gzip(self, body: bytes) -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        self._loop.run_until_complete(read_body({"content-encoding": "gzip"}, receive, MAX_BYTES))

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
        return self._loop.run_until_complete(reading)


def _check(endpoint: Endpoint, request: Any) -> None:
    """What comes after decoding and before the queue."""
    verb = _VERBS.get(endpoint.label)
    if verb is not None:
        verb.check(request, MODEL, max_items=64)
        for item in request.items:
            validation.check_item(item, "item", MODEL, precomputed=True, token_ids=True)


def _any_of(seeds: Sequence[bytes]) -> Callable[[Random], bytes]:
    return lambda random: mutated(random.choice(seeds), random.choice(seeds), random)


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
