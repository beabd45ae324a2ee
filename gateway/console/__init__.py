"""The page at `/`: the cluster as it works, and the three verbs to try. Works offline."""

from collections.abc import Callable
from importlib.resources import files

from gateway.auth.principal import Principal
from gateway.http.response import Response

_TYPES = {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "math.js": "text/javascript; charset=utf-8",
}
_HEADERS = {
    # Colours of cells are set as styles; scripts come from these files alone.
    "content-security-policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


def pages() -> dict[str, Callable[[Principal], Response]]:
    """What answers GET, by path."""
    folder = files(__name__)
    found = {name: _response(name, (folder / name).read_bytes()) for name in _TYPES}
    paths = {"/" if name == "index.html" else f"/console/{name}": name for name in _TYPES}
    return {path: _page(found[name]) for path, name in paths.items()}


def _response(name: str, body: bytes) -> Response:
    return Response(200, body, {"content-type": _TYPES[name], **_HEADERS})


def _page(response: Response) -> Callable[[Principal], Response]:
    return lambda _: response
