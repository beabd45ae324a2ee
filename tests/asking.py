"""Plain HTTP requests, as a test sends them to a gateway or to a probe."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass

from cli.local_stack import DEFAULT_MODEL

ENCODE = f"/v1/encode/{DEFAULT_MODEL}"


@dataclass(frozen=True)
class HttpReply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self):
        return json.loads(self.body)


def ask(address: str, method: str, path: str, body: object = None, headers=None, timeout=60.0):
    """One HTTP request on a connection of its own; anything but bytes is sent as JSON."""
    connection = http.client.HTTPConnection(address, timeout=timeout)
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    try:
        connection.request(method, path, body, headers or {})
        reply = connection.getresponse()
        found = {name.lower(): value for name, value in reply.getheaders()}
        return HttpReply(reply.status, found, reply.read())
    finally:
        connection.close()
