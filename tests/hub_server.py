"""A server on loopback that speaks the hub's paths, with faults on request.

/api/models/{repo}/revision/{commit}      the files of a commit
/{repo}/resolve/{commit}/{file}           small files as they are, large ones by a redirect
/storage/{file}                           where large files lie; wants no token
"""

import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

REPO = "org/model"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE_BYTES = 4096


@dataclass
class Hub:
    """What the server has, and how it misbehaves."""

    files: dict[str, bytes]
    token: str = ""
    url: str = ""
    break_after: list[int] = field(default_factory=list)  # bytes before weights are cut off
    tamper: str = ""  # name of a file that arrives otherwise than stated
    status: int = 0  # answered to everything
    delay_s: dict[str, float] = field(default_factory=dict)  # before a file's bytes, by its name
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def asked(self, name: str) -> list[dict[str, str]]:
        """Headers of the requests for a file's bytes."""
        return [headers for path, headers in self.requests if path == f"/storage/{name}"]


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *_):
        pass

    def do_GET(self):
        hub, path = self.hub, self.path.partition("?")[0]
        hub.requests.append((path, dict(self.headers)))
        if hub.status:
            return self._answer(hub.status)
        if path.startswith("/storage/"):
            return self._content(path.removeprefix("/storage/"), {})
        if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
            return self._answer(401, {"X-Error-Code": "GatedRepo"})
        if path == f"/api/models/{REPO}/revision/{COMMIT}":
            return self._answer(200, {}, json.dumps({"siblings": list(self._siblings())}).encode())
        name = path.removeprefix(f"/{REPO}/resolve/{COMMIT}/")
        if name not in hub.files:
            return self._answer(404, {"X-Error-Code": "RepoNotFound"})
        content = hub.files[name]
        if len(content) < LARGE_BYTES:
            return self._content(name, {"ETag": f'"{_blob(content)}"'})
        linked = {
            "x-linked-etag": f'"{_sha256(content)}"',
            "x-linked-size": str(len(content)),
            # Another name of the same host, as a content network is.
            "Location": f"{hub.url.replace('127.0.0.1', 'localhost')}/storage/{name}",
        }
        return self._answer(302, linked)

    def _siblings(self):
        for name, content in self.hub.files.items():
            entry = {"rfilename": name, "size": len(content), "blobId": _blob(content)}
            if len(content) >= LARGE_BYTES:
                entry["lfs"] = {"sha256": _sha256(content), "size": len(content)}
            yield entry

    def _content(self, name, headers):
        content = self.hub.files[name]
        time.sleep(self.hub.delay_s.get(name, 0.0))
        if name == self.hub.tamper:
            content = bytes(len(content))
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        breaks = self.hub.break_after if name.endswith(".safetensors") else []
        cut = breaks.pop(0) if breaks else None
        self._answer(206 if start else 200, headers, content[start:], cut)

    def _answer(self, status, headers=None, body=b"", cut=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def files_of(directory: Path) -> dict[str, bytes]:
    """Every file below a directory, by relative name."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


@contextlib.contextmanager
def running(files: dict[str, bytes]) -> Iterator[Hub]:
    """A hub that has one commit of one repository."""
    hub = Hub(files)
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
