"""Probes over HTTP: is the process alive, is it ready, what does it measure.

    GET /healthz   200 or 503 {"status", "reasons"}: restart it or not
    GET /readyz    200 or 503 {"status", "reasons"}: send it traffic or not
    GET /metrics   Prometheus text

One request for each connection, no bodies, no dependencies: what must answer when
everything else is in trouble is kept this small.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Self

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

# Why not, in sentences; empty: all is well.
Check = Callable[[], Sequence[str]]

_TIMEOUT_S = 5.0
_MAX_HEAD_BYTES = 16 * 1024
_JSON = "application/json"

_Reply = tuple[HTTPStatus, str, bytes]


class Probes:
    """Serves the probes between `async with` and its end.

    Args:
        host: address to listen on.
        port: 0 takes a free one; `port` then tells which.
        live: reasons why the process should be restarted.
        ready: reasons why it should get no traffic.
        metrics: what `/metrics` shows.
    """

    def __init__(
        self, host: str, port: int, *, live: Check, ready: Check, metrics: CollectorRegistry
    ) -> None:
        self._host = host
        self._live = live
        self._ready = ready
        self._metrics = metrics
        self._server: asyncio.Server | None = None
        self.port = port

    async def __aenter__(self) -> Self:
        """Listens.

        Raises:
            OSError: the port is taken.
        """
        self._server = await asyncio.start_server(
            self._serve, self._host, self.port, limit=_MAX_HEAD_BYTES
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(_TIMEOUT_S):
                writer.write(await self._exchange(reader))
                await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _response(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        match head.split(b"\r\n", 1)[0].split(b" "):
            case [(b"GET" | b"HEAD") as method, target, version] if version.startswith(b"HTTP/1."):
                status, content_type, body = self._answer(target.split(b"?", 1)[0])
                return _response(status, content_type, body, with_body=method == b"GET")
            case [_, _, version] if version.startswith(b"HTTP/1."):
                return _response(HTTPStatus.METHOD_NOT_ALLOWED)
            case _:
                return _response(HTTPStatus.BAD_REQUEST)

    def _answer(self, path: bytes) -> _Reply:
        match path:
            case b"/healthz":
                return _checked(self._live())
            case b"/readyz":
                return _checked(self._ready())
            case b"/metrics":
                return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(self._metrics)
            case _:
                return HTTPStatus.NOT_FOUND, "text/plain", b""


def _checked(reasons: Sequence[str]) -> _Reply:
    status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
    body = {"status": "unavailable" if reasons else "ok", "reasons": list(reasons)}
    return status, _JSON, orjson.dumps(body)


def _response(
    status: HTTPStatus,
    content_type: str = "text/plain",
    body: bytes = b"",
    *,
    with_body: bool = True,
) -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"content-type: {content_type}\r\n"
        f"content-length: {len(body)}\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode() + (body if with_body else b"")
