"""The HTTP face: an ASGI application over `Api.call`.

    /v1/...         transcoded from the services' annotations (gateway.transcoder)
    /healthz        the process answers
    /readyz         it can serve, or why not
    /metrics        Prometheus
    /openapi.json   OpenAPI 3.1 of the transcoded routes

Bare ASGI, since a framework's routing and validation would only stand in the way of the
service definitions, which say all of it already.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import orjson
from google.protobuf.message import Message
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from gateway.api import Api
from gateway.auth.pages import PageRules
from gateway.http_body import Receive, read_body
from gateway.http_disconnect import DisconnectWatch
from gateway.http_response import JSON, Response, error_response, header_name, json_response
from gateway.http_yaml import (
    YAML,
    YAML_TYPES,
    is_yaml,
    read_yaml,
    speaks_yaml,
    wants_yaml,
    write_yaml,
)
from gateway.request_id import request_id_of
from gateway.transcoder.binding import Binding
from gateway.transcoder.json_out import ResponseWriter
from gateway.transcoder.openapi import document
from gateway.transcoder.routes import MethodNotAllowed, Route, RouteTable, routes_of
from servicekit import logs
from servicekit.errors import SieError, internal, invalid

log = logging.getLogger(__name__)

Send = Callable[[dict[str, Any]], Awaitable[None]]
Scope = Mapping[str, Any]
# Answers GET at a fixed path.
Page = Callable[[], Response]


class Readiness(NamedTuple):
    """Whether the process can serve.

    Args:
        reasons: why it cannot; empty when it can.
        details: what else `/readyz` shows.
    """

    reasons: list[str]
    details: dict[str, Any]


class _Codec(NamedTuple):
    binding: Binding
    writer: ResponseWriter


class _Request(NamedTuple):
    scope: Scope
    metadata: Mapping[str, str]
    id: str
    receive: Receive
    watch: DisconnectWatch

    @property
    def method(self) -> str:
        return self.scope["method"]  # type: ignore[no-any-return]

    @property
    def path(self) -> str:
        """The path as it was sent: decoding is up to the route's template."""
        return self.scope["raw_path"].decode("latin-1")  # type: ignore[no-any-return]

    @property
    def query(self) -> str:
        try:
            return self.scope["query_string"].decode("ascii")  # type: ignore[no-any-return]
        except UnicodeDecodeError:
            raise invalid("query", "not percent-encoded") from None


class HttpFace:
    """The ASGI application.

    Args:
        api: where the calls go.
        registry: what `/metrics` shows.
        ready: asked by `/readyz`.
        page_rules: who may read the fixed paths.
        version: sent as `x-sie-server-version`.
        max_request_bytes: larger bodies get 413.
        pages: more fixed paths.
    """

    def __init__(
        self,
        api: Api,
        *,
        registry: CollectorRegistry,
        ready: Callable[[], Readiness],
        page_rules: PageRules,
        version: str,
        max_request_bytes: int,
        pages: Mapping[str, Page] | None = None,
    ) -> None:
        self._api = api
        self._page_rules = page_rules
        self._max_request_bytes = max_request_bytes
        routes = [route for endpoint in api.endpoints.values() for route in routes_of(endpoint)]
        self._routes = RouteTable(routes)
        self._codecs = {route: _codec(route) for route in routes}
        self._version_header = (b"x-sie-server-version", version.encode())
        openapi = Response(200, orjson.dumps(document(routes, version)), {"content-type": JSON})
        self._pages: dict[str, Page] = {
            "/healthz": lambda: json_response({"status": "ok"}),
            "/readyz": lambda: _readiness(ready()),
            "/metrics": lambda: _metrics(registry),
            "/openapi.json": lambda: openapi,
            **(pages or {}),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "no lifespan, no WebSockets"
        metadata = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        with DisconnectWatch(receive) as watch:
            request = _Request(scope, metadata, request_id_of(metadata), receive, watch)
            response = await self._respond(request)
            await self._send(send, response, with_body=scope["method"] != "HEAD")

    async def _respond(self, request: _Request) -> Response:
        logs.request_id.set(request.id)
        try:
            if (page := self._pages.get(request.path)) is not None:
                self._page_rules.check(request.path, request.metadata)
                return _get(page, request)
            return await self._transcode(request)
        except SieError as error:
            return error_response(error, request.id)
        except Exception:
            log.exception("unexpected failure", extra={"fields": {"path": request.path}})
            return error_response(internal(), request.id)

    async def _transcode(self, request: _Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        route, captured = self._routes.find(method, request.path)
        codec = self._codecs[route]
        with_yaml = speaks_yaml(route)

        async def read() -> Message:
            also = YAML_TYPES if with_yaml and route.body else ()
            body = await read_body(request.metadata, request.receive, self._max_request_bytes, also)
            request.watch.start()
            if body and also and is_yaml(request.metadata):
                message = route.endpoint.request_class()
                await read_yaml(message, route.body, body)
                codec.binding.bind(message, captured, request.query)
                return message
            return codec.binding.read(captured, request.query, body)

        reply = await self._api.call(route.endpoint, read, request.metadata, request_id=request.id)
        if with_yaml and wants_yaml(request.metadata):
            text = await asyncio.to_thread(write_yaml, route, reply.body)
            return Response(200, text, {"content-type": YAML, **reply.headers})
        body = codec.writer.write(reply.body)
        headers = {"content-type": JSON, **reply.headers}
        return Response(route.endpoint.http_status, body, headers)

    async def _send(self, send: Send, response: Response, *, with_body: bool) -> None:
        headers = [
            (header_name(name), value.encode("latin-1")) for name, value in response.headers.items()
        ]
        headers.append((b"content-length", b"%d" % len(response.body)))
        headers.append(self._version_header)
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body if with_body else b""})


def _codec(route: Route) -> _Codec:
    return _Codec(
        Binding(route), ResponseWriter(route.endpoint.response_class, route.response_body)
    )


def _get(page: Page, request: _Request) -> Response:
    if request.method not in ("GET", "HEAD"):
        raise MethodNotAllowed(request.method, request.path, ["GET"])
    return page()


def _readiness(readiness: Readiness) -> Response:
    if readiness.reasons:
        state = {"status": "not_ready", "reasons": readiness.reasons}
        return json_response({**state, **readiness.details}, 503)
    return json_response({"status": "ready", **readiness.details})


def _metrics(registry: CollectorRegistry) -> Response:
    return Response(200, generate_latest(registry), {"content-type": CONTENT_TYPE_LATEST})
