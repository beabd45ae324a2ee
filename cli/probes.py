"""Questions to a process on loopback: is it there, is it ready, what does it answer.

`http.client` and plain sockets, because anything cleverer would obey proxy settings, and
because `sie up` must not spend its first second on imports.
"""

import http.client
import json
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cli.api_key import api_key

Probe = Callable[[], bool]

_PROBE_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class Answer:
    """An HTTP response, read to its end."""

    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def http_get(
    host: str,
    port: int,
    path: str,
    timeout_s: float = _PROBE_TIMEOUT_S,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    return _http(connection_to(host, port, timeout_s, tls), "GET", path, None)


def http_post(
    host: str,
    port: int,
    path: str,
    body: Any,
    timeout_s: float,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """Posts `body` as JSON and asks for JSON."""
    connection = connection_to(host, port, timeout_s, tls)
    return _http(connection, "POST", path, json.dumps(body).encode())


def connection_to(
    host: str, port: int | None, timeout_s: float, tls: ssl.SSLContext | None
) -> http.client.HTTPConnection:
    """A connection that is made when something is asked; without `tls` in clear."""
    if tls is None:
        return http.client.HTTPConnection(host, port, timeout=timeout_s)
    return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=tls)


def ready(host: str, port: int, tls: ssl.SSLContext | None = None) -> Probe:
    """True once `GET /readyz` answers 200."""

    def probe() -> bool:
        try:
            return http_get(host, port, "/readyz", tls=tls).status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False

    return probe


def listening(host: str, port: int) -> Probe:
    """True once a TCP connection is accepted."""

    def probe() -> bool:
        try:
            with socket.create_connection((host, port), _PROBE_TIMEOUT_S):
                return True
        except OSError:
            return False

    return probe


def _http(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None
) -> Answer:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if token := api_key():
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return Answer(response.status, response.read())
    finally:
        connection.close()
