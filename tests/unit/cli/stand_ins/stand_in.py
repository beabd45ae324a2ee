"""Stands in for a service: ready at once, and every POST gives the same small embedding.

Put first on the path, the modules beside this one are what `python -m gateway` and the others
run, so the life of a stack is tested without a model.
"""

import json
import os
import signal
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

EMBEDDING = {"items": [{"dense": {"dims": 3, "values": [0.25, -0.5, 1.0]}}]}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/health" and not self._may_ask():
            self._answer(b"{}", 401)
        else:
            self._answer(json.dumps(_health() if self.path == "/health" else {}).encode())

    def do_POST(self) -> None:
        if not self._may_ask():
            self._answer(b"{}", 401)
        elif self.path.endswith("/reranker"):
            error = {"code": "UNSUPPORTED_OUTPUT", "message": "makes no vectors"}
            self._answer(json.dumps({"error": error}).encode(), 400)
        else:
            self._answer(json.dumps(EMBEDDING).encode())

    def _may_ask(self) -> bool:
        token = os.environ.get("STAND_IN_TOKEN")
        return not token or self.headers["Authorization"] == f"Bearer {token}"

    def _answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        pass


def _health() -> dict[str, Any]:
    """What a gateway says of one worker that has loaded all but STAND_IN_FAILED."""
    preloaded = os.environ["SIE_DEFAULT_MODEL"].split(",")
    failed = os.environ.get("STAND_IN_FAILED", "")
    worker = {
        "name": "worker-1",
        "healthy": True,
        "loaded_models": [model for model in preloaded if model not in (failed, "unknown")],
        "failed_models": [{"name": failed, "message": f"model '{failed}':\nno folder"}],
    }
    return {"workers": [worker]}


def serve(port_variable: str) -> None:
    if os.environ.get("STAND_IN_IGNORES_SIGTERM"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ[port_variable])), _Handler)
    if port_variable == "SIE_HTTP_PORT" and (certificate := os.environ.get("SIE_TLS_CERT")):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, os.environ["SIE_TLS_KEY"])
        if authority := os.environ.get("SIE_TLS_CLIENT_CA"):
            context.load_verify_locations(authority)
            context.verify_mode = ssl.CERT_REQUIRED
        # A handshake that fails is its connection's affair.
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    server.serve_forever()
