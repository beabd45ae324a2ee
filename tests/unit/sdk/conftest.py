"""A small HTTP server that answers as it is told, and both clients behind one face."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgpack
import numpy as np
import pytest

from sie_sdk import SIEAsyncClient, SIEClient
from sie_sdk._http.arrays import pack

MSGPACK = "application/msgpack"


def answer(status, body=None, content_type="application/json", delay_s=0.0, **headers):
    """One answer; an underscore in a header's name is a hyphen."""
    headers = {name.replace("_", "-"): str(value) for name, value in headers.items()}
    if not isinstance(body, bytes):
        body = b"" if body is None else json.dumps(body).encode()
    return {"status": status, "body": body, "type": content_type, "delay": delay_s, **headers}


def refusal(status, code, **headers):
    error = {"code": code, "message": f"it is {code}"}
    return answer(status, {"error": error, "detail": error}, **headers)


def vectors(request):
    """A dense vector for each item of a request, which counts the letters of its text."""
    items = msgpack.unpackb(request["body"])["items"]
    found = [
        {"dense": {"values": np.array([len(item["text"]), 1], "<f4")}, "input_tokens": 3}
        for item in items
    ]
    body = {"model": "m", "items": found, "timing": {"total_ms": 1.0}}
    return answer(200, pack(body), MSGPACK)


HEALTH = {
    "type": "gateway",
    "status": "healthy",
    "cluster": {"models_loaded": 1},
    "workers": [
        {"name": "a", "gpu": "l4", "healthy": True, "gpu_count": 1, "bundle": "default"},
        {"name": "b", "gpu": "l4", "healthy": False, "gpu_count": 1, "bundle": "default"},
        {"name": "c", "gpu": "cpu", "healthy": True, "gpu_count": 0, "bundle": "default"},
    ],
}
# Closes the connection in the middle of a request.
RESET = "reset"


class ScriptedGateway:
    """Answers a request with the next of `script`, and `always` when that is used up."""

    def __init__(self):
        self.script = []
        self.always = vectors
        self.requests = []
        self.connections = set()
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except OSError:
                    self.close_connection = True

            def log_message(self, *_):
                pass

            def _any(self):
                gateway._serve(self)

            do_GET = do_POST = do_DELETE = _any  # noqa: N815

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def _serve(self, handler):
        size = int(handler.headers.get("content-length") or 0)
        request = {
            "method": handler.command,
            "path": handler.path,
            "headers": {name.lower(): value for name, value in handler.headers.items()},
            "body": handler.rfile.read(size),
            "time": time.monotonic(),
        }
        with self._lock:
            self.requests.append(request)
            self.connections.add(handler.client_address)
            reply = self.script.pop(0) if self.script else self.always
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        reply = reply(request) if callable(reply) else reply
        if reply != RESET:
            reply = dict(reply)
            time.sleep(reply.pop("delay"))
        with self._lock:
            self._at_once -= 1
        self._answer(handler, reply)

    def _answer(self, handler, reply):
        if reply == RESET:
            handler.close_connection = True
            handler.connection.close()
            return
        status, body = reply.pop("status"), reply.pop("body")
        handler.send_response(status)
        handler.send_header("content-type", reply.pop("type"))
        handler.send_header("content-length", str(len(body)))
        for name, value in reply.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)


@pytest.fixture
def gateway() -> Iterator[ScriptedGateway]:
    gateway = ScriptedGateway()
    thread = threading.Thread(target=gateway.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield gateway
    gateway.server.shutdown()
    gateway.server.server_close()
    thread.join()


class Asking:
    """Calls a method of either client by its name, as if both were blocking."""

    def __init__(self, is_async):
        self.is_async = is_async

    def __call__(self, url, method, *args, client_options=None, **kwargs):
        options = client_options or {}
        if self.is_async:
            return asyncio.run(self._ask(url, options, method, args, kwargs))
        with SIEClient(url, **options) as client:
            result = getattr(client, method)(*args, **kwargs)
            return list(result) if hasattr(result, "__next__") else result

    async def _ask(self, url, options, method, args, kwargs):
        async with SIEAsyncClient(url, **options) as client:
            result = getattr(client, method)(*args, **kwargs)
            if hasattr(result, "__anext__"):
                return [each async for each in result]
            return await result


@pytest.fixture(params=["blocking", "asyncio"])
def ask(request) -> Asking:
    """Each test that uses this runs with both clients."""
    return Asking(request.param == "asyncio")
