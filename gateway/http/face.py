"""The HTTP face: an ASGI application over `Api.call`.

    /v1/...         transcoded from the services' annotations (gateway.transcoder)
    /healthz        the process answers
    /readyz         it can serve, or why not
    /health         the cluster, and /ws/cluster-status the same once a second
    /metrics        Prometheus
    /openapi.json   OpenAPI 3.1 of the transcoded routes
    / and /console  what an operator looks at (gateway.console)
    /v2/...         Open Inference Protocol (gateway.oip), and what else is a Face:
                    uploads and contents of files below /v1/files (gateway.batches)

Bare ASGI, since a framework's routing and validation would only stand in the way of the
service definitions, which say all of it already.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from google.protobuf.message import Message
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from gateway.access_log import Record
from gateway.api import Api
from gateway.auth.pages import PageRules
from gateway.auth.principal import Principal
from gateway.http.body import Receive, read_body
from gateway.http.codec import Codec
from gateway.http.disconnect import DisconnectWatch
from gateway.http.ndjson import LineCalls, is_ndjson
from gateway.http.openai import is_openai, openai_error
from gateway.http.response import (
    Response,
    StreamedResponse,
    error_response,
    header_name,
    json_response,
)
from gateway.http.websocket import PATH as SOCKET_PATH
from gateway.http.websocket import StatusSocket, without_upgrade
from gateway.json_calls import JsonCalls, computes
from gateway.metadata import Metadata
from gateway.request_id import request_id_of
from gateway.transcoder.openapi import document
from gateway.transcoder.routes import MethodNotAllowed, RouteTable, routes_of
from servicekit import logs
from servicekit.errors import SieError, code_of, internal, invalid
from sie.errors.v1.error_reason_pb2 import ErrorReason

log = logging.getLogger(__name__)

Send = Callable[[dict[str, Any]], Awaitable[None]]
Scope = Mapping[str, Any]
# A client that takes nothing for so long keeps what was made for it from being let go.
_STALLED_S = 60.0

# Answers GET at a fixed path, for whoever reads it.
Page = Callable[[Principal], Response]


class Readiness(NamedTuple):
    """Whether the process can serve.

    Args:
        reasons: why it cannot; empty when it can.
        details: what else `/readyz` shows.
    """

    reasons: list[str]
    details: dict[str, Any]


class Request(NamedTuple):
    """A request whose body was not read yet."""

    scope: Scope
    metadata: Metadata
    record: Record
    receive: Receive
    watch: DisconnectWatch

    @property
    def id(self) -> str:
        return self.record.request_id

    @property
    def method(self) -> str:
        return self.scope["method"]  # type: ignore[no-any-return]

    @property
    def path(self) -> str:
        """The path as it was sent: decoding is up to the route's template."""
        return self.record.path

    @property
    def query(self) -> str:
        try:
            return self.scope["query_string"].decode("ascii")  # type: ignore[no-any-return]
        except UnicodeDecodeError:
            raise invalid("query", "not percent-encoded") from None


class Face(Protocol):
    """Paths that the services' annotations do not describe."""

    def serves(self, request: Request) -> bool:
        """Whether a request is for one of them."""

    async def answer(self, request: Request) -> Response | StreamedResponse:
        """The response to a request for one of them, also where the call fails."""

    def paths(self) -> dict[str, Any]:
        """The paths as OpenAPI describes them."""


class HttpFace:
    """The ASGI application.

    Args:
        api: where the calls go.
        calls: where those go that come line by line.
        registry: what `/metrics` shows.
        ready: asked by `/readyz`.
        page_rules: who may read the fixed paths.
        version: sent as `x-sie-server-version`.
        max_request_bytes: larger bodies get 413.
        pages: more fixed paths.
        socket: answers WebSocket connections.
        faces: answer paths of their own.
    """

    def __init__(
        self,
        api: Api,
        calls: JsonCalls,
        *,
        registry: CollectorRegistry,
        ready: Callable[[], Readiness],
        page_rules: PageRules,
        version: str,
        max_request_bytes: int,
        socket: StatusSocket,
        pages: Mapping[str, Page] | None = None,
        faces: Sequence[Face] = (),
    ) -> None:
        self._api = api
        self._page_rules = page_rules
        self._socket = socket
        self._max_request_bytes = max_request_bytes
        self._lines = LineCalls(api, calls, max_request_bytes)
        routes = [route for endpoint in api.endpoints.values() for route in routes_of(endpoint)]
        self._routes = RouteTable(routes)
        self._codecs = {route: Codec(route) for route in routes}
        self._version_header = (b"x-sie-server-version", version.encode())
        self._faces = faces
        openapi = json_response(_with_paths(document(routes, version, computes), faces))
        self._pages: dict[str, Page] = {
            "/healthz": lambda _: json_response({"status": "ok"}),
            "/readyz": lambda _: _readiness(ready(), is_draining=api.is_draining),
            "/metrics": lambda _: _metrics(registry),
            "/openapi.json": lambda _: openapi,
            SOCKET_PATH: without_upgrade,
            **(pages or {}),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Blanks are no part of a value (RFC 9110, 5.5), and the server leaves those behind it.
        metadata = Metadata(
            [
                (name.decode("latin-1"), value.decode("latin-1").rstrip(" \t"))
                for name, value in scope["headers"]
            ]
        )
        if scope["type"] == "websocket":
            await self._socket(scope["path"], metadata, receive, send)
            return
        with DisconnectWatch(receive) as watch:
            path = scope["raw_path"].decode("latin-1")
            record = Record(request_id_of(metadata), scope["method"], path)
            request = Request(scope, metadata, record, receive, watch)
            try:
                response = await self._respond(request)
                record.status = response.status
                if isinstance(response, Response):
                    record.bytes_out = len(response.body)
                await self._send(send, response, with_body=scope["method"] != "HEAD")
            finally:
                self._api.access_log.write(record)

    async def _respond(self, request: Request) -> Response | StreamedResponse:
        logs.request_id.set(request.id)
        try:
            request.metadata.check()
            if (page := self._pages.get(request.path)) is not None:
                reader = self._page_rules.check(request.path, request.metadata)
                return _get(page, request, reader)
            for face in self._faces:
                if face.serves(request):
                    return await face.answer(request)
            return await self._transcode(request)
        except SieError as error:
            request.record.reason = code_of(error.reason)
            return error_response(error, request.id)
        except Exception:
            log.exception("unexpected failure", extra={"fields": {"path": request.path}})
            request.record.reason = code_of(ErrorReason.ERROR_REASON_INTERNAL_ERROR)
            return error_response(internal(), request.id)

    async def _transcode(self, request: Request) -> Response | StreamedResponse:
        method = "GET" if request.method == "HEAD" else request.method
        route, captured = self._routes.find(method, request.path)
        if computes(route) and is_ndjson(request.metadata):
            return self._lines.respond(
                request.path,
                request.metadata,
                request.query,
                request.id,
                request.receive,
                request.watch,
            )
        codec = self._codecs[route]

        async def read() -> Message:
            body = await read_body(
                request.metadata, request.receive, self._max_request_bytes, codec.content_types
            )
            request.watch.start()
            request.record.bytes_in = len(body)
            return await codec.read(request.metadata, captured, request.query, body)

        try:
            reply = await self._api.call(
                route.endpoint, read, request.metadata, record=request.record
            )
        except SieError as error:
            if is_openai(route):
                return openai_error(error, request.id)
            raise
        return await codec.write(request.metadata, reply)

    async def _send(
        self, send: Send, response: Response | StreamedResponse, *, with_body: bool
    ) -> None:
        headers = [
            (header_name(name), value.encode("latin-1")) for name, value in response.headers.items()
        ]
        headers.append(self._version_header)
        if isinstance(response, Response):
            headers.append((b"content-length", b"%d" % len(response.body)))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        if with_body and isinstance(response, StreamedResponse):
            await _send_chunks(send, response.chunks)
        else:
            body = response.body if with_body and isinstance(response, Response) else b""
            await send({"type": "http.response.body", "body": body})


async def _send_chunks(send: Send, chunks: AsyncGenerator[bytes]) -> None:
    """Sends a body as it is made, to a client that takes some of it every minute."""
    async with contextlib.aclosing(chunks):
        async for chunk in chunks:
            try:
                async with asyncio.timeout(_STALLED_S):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            except TimeoutError:
                # The server closes a connection whose response stays incomplete.
                log.info("a client takes nothing of its response")
                return
    await send({"type": "http.response.body", "body": b""})


def _with_paths(openapi: dict[str, Any], faces: Iterable[Face]) -> dict[str, Any]:
    for face in faces:
        openapi["paths"] |= face.paths()
    return openapi


def _get(page: Page, request: Request, reader: Principal) -> Response:
    if request.method not in ("GET", "HEAD"):
        raise MethodNotAllowed(request.method, request.path, ["GET"])
    return page(reader)


def _readiness(readiness: Readiness, *, is_draining: bool) -> Response:
    reasons = [*readiness.reasons, *(["the process is shutting down"] if is_draining else [])]
    if reasons:
        state = {"status": "not_ready", "reasons": reasons}
        return json_response({**state, **readiness.details}, 503)
    return json_response({"status": "ready", **readiness.details})


def _metrics(registry: CollectorRegistry) -> Response:
    return Response(200, generate_latest(registry), {"content-type": CONTENT_TYPE_LATEST})
