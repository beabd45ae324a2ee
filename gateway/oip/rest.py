"""The REST form of the open inference protocol.

    GET   /v2                                            what the server is
    GET   /v2/health/live   /v2/health/ready
    GET   /v2/models/{model}[/versions/{version}]        what a model takes and gives
    GET   /v2/models/{model}[/versions/{version}]/ready
    POST  /v2/models/{model}[/versions/{version}]/infer
    POST  /v2/repository/index                           every model with its state
    POST  /v2/repository/models/{model}/load|unload      not provided

A model id stands in the path with its slashes, or with %2F in their place.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from google.protobuf.message import Message

from gateway.api import Api
from gateway.endpoint import Reply
from gateway.http.body import read_body
from gateway.http.face import Request
from gateway.http.response import Response, json_response
from gateway.large_bodies import beside_the_loop
from gateway.oip import openapi, rest_out
from gateway.oip.rest_in import HEADER_LENGTH, InferBody, read_infer, read_object
from gateway.transcoder.path_template import decoded
from gateway.transcoder.reading import FieldError
from gateway.transcoder.routes import MethodNotAllowed
from servicekit.errors import SieError, invalid
from sie.oip import open_inference_pb2 as pb

# A part of the path by its name.
Parts = Mapping[str, str]
Handler = Callable[[Request, Parts], Awaitable[Response]]

_SERVICE = "/inference.GRPCInferenceService/"
_MODEL = r"(?P<model>[^/]+(?:/[^/]+)*?)"
_VERSIONED = rf"/v2/models/{_MODEL}(?:/versions/(?P<version>[^/]+))?"
_BINARY_TYPES = ("application/octet-stream",)


class _Operation(NamedTuple):
    method: str
    pattern: re.Pattern[str]
    handle: Handler


class RestFace:
    """Answers the protocol's paths.

    Args:
        api: where the calls go; holds GRPCInferenceService.
        ready: whether the server can take requests.
        max_request_bytes: larger bodies get 413.
        max_elements: an input may have no more.
    """

    def __init__(
        self,
        api: Api,
        *,
        ready: Callable[[], bool],
        max_request_bytes: int,
        max_elements: int,
    ) -> None:
        self._api = api
        self._ready = ready
        self._max_request_bytes = max_request_bytes
        self._max_elements = max_elements
        # The first that matches a path is meant.
        self._operations = [
            _operation("GET", r"/v2/?", self._server_metadata),
            _operation("GET", r"/v2/health/live", self._live),
            _operation("GET", r"/v2/health/ready", self._server_ready),
            _operation("POST", rf"{_VERSIONED}/infer", self._infer),
            _operation("GET", rf"{_VERSIONED}/ready", self._model_ready),
            _operation("GET", _VERSIONED, self._model_metadata),
            _operation("POST", r"/v2/repository/index", self._index),
            _operation("POST", rf"/v2/repository/models/{_MODEL}/load", self._load),
            _operation("POST", rf"/v2/repository/models/{_MODEL}/unload", self._unload),
        ]

    def serves(self, request: Request) -> bool:
        """Whether a request's path is among those of the protocol."""
        return request.path.startswith("/v2") and self._find(request.path) is not None

    async def answer(self, request: Request) -> Response:
        """The response to a request whose path is served.

        Raises:
            Exception: a defect of ours.
        """
        try:
            return await self._answer(request)
        except SieError as error:
            return rest_out.error_response(error, request.id)

    def paths(self) -> dict[str, Any]:
        """The paths as OpenAPI describes them."""
        return openapi.paths()

    async def _answer(self, request: Request) -> Response:
        found = self._find(request.path)
        assert found is not None, "asked for a path that is not served"
        operation, parts = found
        if ("GET" if request.method == "HEAD" else request.method) != operation.method:
            raise MethodNotAllowed(request.method, request.path, [operation.method])
        if request.query:
            raise invalid("query", "this route takes no query parameters")
        given = {name: decoded(name, text) for name, text in parts.items() if text}
        return await operation.handle(request, given)

    def _find(self, path: str) -> tuple[_Operation, Parts] | None:
        for operation in self._operations:
            if found := operation.pattern.fullmatch(path):
                return operation, found.groupdict()
        return None

    async def _live(self, _request: Request, _parts: Parts) -> Response:
        return json_response({"live": True})

    async def _server_ready(self, _request: Request, _parts: Parts) -> Response:
        ready = self._ready()
        return json_response({"live": True, "ready": ready}, 200 if ready else 503)

    async def _server_metadata(self, request: Request, _parts: Parts) -> Response:
        reply = await self._call("ServerMetadata", pb.ServerMetadataRequest(), request)
        message = pb.ServerMetadataResponse.FromString(reply.body)
        return _json(rest_out.server_metadata(message), reply)

    async def _model_ready(self, request: Request, parts: Parts) -> Response:
        asked = pb.ModelReadyRequest(name=parts["model"], version=parts.get("version"))
        reply = await self._call("ModelReady", asked, request)
        ready = pb.ModelReadyResponse.FromString(reply.body).ready
        return _json({"name": asked.name, "ready": ready}, reply, 200 if ready else 503)

    async def _model_metadata(self, request: Request, parts: Parts) -> Response:
        asked = pb.ModelMetadataRequest(name=parts["model"], version=parts.get("version"))
        reply = await self._call("ModelMetadata", asked, request)
        message = pb.ModelMetadataResponse.FromString(reply.body)
        return _json(rest_out.model_metadata(message), reply)

    async def _infer(self, request: Request, parts: Parts) -> Response:
        bodies: list[InferBody] = []

        async def read() -> Message:
            body = await self._body(request)
            header_length = request.metadata.get(HEADER_LENGTH)
            infer = await beside_the_loop(
                len(body), read_infer, body, header_length, self._max_elements
            )
            infer.message.model_name = parts["model"]
            infer.message.model_version = parts.get("version", "")
            bodies.append(infer)
            return infer.message

        reply = await self._call("ModelInfer", read, request)
        response = await beside_the_loop(
            len(reply.body), rest_out.infer_response, reply.body, bodies[0]
        )
        return response._replace(headers={**response.headers, **reply.headers})

    async def _index(self, request: Request, _parts: Parts) -> Response:
        async def read() -> Message:
            try:
                return _index_request(read_object(await self._body(request)))
            except FieldError as error:
                raise invalid(error.path or "body", error.problem) from None

        reply = await self._call("RepositoryIndex", read, request)
        message = pb.RepositoryIndexResponse.FromString(reply.body)
        return _json(rest_out.repository_index(message), reply)

    async def _load(self, request: Request, parts: Parts) -> Response:
        asked = pb.RepositoryModelLoadRequest(model_name=parts["model"])
        return _json({}, await self._call("RepositoryModelLoad", asked, request))

    async def _unload(self, request: Request, parts: Parts) -> Response:
        asked = pb.RepositoryModelUnloadRequest(model_name=parts["model"])
        return _json({}, await self._call("RepositoryModelUnload", asked, request))

    async def _body(self, request: Request) -> bytes:
        body = await read_body(
            request.metadata, request.receive, self._max_request_bytes, also=_BINARY_TYPES
        )
        request.watch.start()
        request.record.bytes_in = len(body)
        return body

    async def _call(
        self, rpc: str, message: Message | Callable[[], Awaitable[Message]], request: Request
    ) -> Reply:
        endpoint = self._api.endpoints[_SERVICE + rpc]
        return await self._api.call(endpoint, message, request.metadata, record=request.record)


def _operation(method: str, pattern: str, handle: Handler) -> _Operation:
    return _Operation(method, re.compile(pattern), handle)


def _index_request(value: dict[str, Any]) -> pb.RepositoryIndexRequest:
    request = pb.RepositoryIndexRequest()
    for name, each in value.items():
        if name != "ready":
            raise FieldError("unknown field", name[:80])
        if type(each) is not bool:
            raise FieldError("expected a boolean", name)
        request.ready = each
    return request


def _json(value: Any, reply: Reply, status: int = 200) -> Response:
    response = json_response(value, status)
    return response._replace(headers={**response.headers, **reply.headers})
