"""What a gateway says of itself and of its cluster, over HTTP or HTTPS."""

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from cli.errors import CommandError
from cli.probes import connection_to
from cli.tls import Tls

_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class GatewayFacts:
    """What was answered.

    Args:
        url: of the gateway.
        problem: why nothing was answered; empty: something was.
        version: of the gateway; empty: what answers is no gateway.
        reasons: why it is not ready; empty: it is.
        revision: of the registry, as the gateway has it.
        health: its answer at `/health`, or None where it gave none.
        health_status: HTTP status of that answer.
        offset_s: this machine's clock less the gateway's, as far as the gateway's seconds tell.
        took_s: how long an answer takes.
    """

    url: str
    problem: str = ""
    version: str = ""
    reasons: list[str] = field(default_factory=list)
    revision: int = 0
    health: dict[str, Any] | None = None
    health_status: int = 0
    offset_s: float = 0.0
    took_s: float = 0.0


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def gather(url: str, token: str, tls: Tls, clock: Callable[[], float] = time.time) -> GatewayFacts:
    """Asks a gateway.

    Args:
        url: `http://host:port` or `https://host`.
        token: sent as a bearer token; empty: none.
        tls: how HTTPS is spoken.
        clock: seconds since 1970 UTC.

    Raises:
        CommandError: it is no such address, or a file of `tls` cannot be used.
    """
    begin = clock()
    try:
        ready = _get(url, "/readyz", token, tls)
        took_s = clock() - begin
        health = _get(url, "/health", token, tls)
    except (OSError, http.client.HTTPException) as error:
        return GatewayFacts(url, problem=str(error) or type(error).__name__)
    details = ready.json()
    return GatewayFacts(
        url,
        version=ready.headers.get("x-sie-server-version", ""),
        reasons=[] if ready.status == http.HTTPStatus.OK else details.get("reasons", []),
        revision=int(details.get("revision", 0)),
        health=health.json() if health.status == http.HTTPStatus.OK else None,
        health_status=health.status,
        offset_s=_offset_s(ready.headers.get("date", ""), begin + took_s / 2),
        took_s=took_s,
    )


def _offset_s(date: str, now: float) -> float:
    """Seconds by which `now` lies outside of the second that the header names."""
    try:
        stated = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return 0.0
    return min(now - stated, 0.0) + max(now - stated - 1.0, 0.0)


def _get(url: str, path: str, token: str, tls: Tls) -> _Answer:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CommandError(f"{url!r} is no address: http://HOST:PORT or https://HOST is expected")
    context = tls.context() if parts.scheme == "https" else None
    connection = connection_to(parts.hostname, parts.port, _TIMEOUT_S, context)
    headers = {"Accept": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request("GET", parts.path.rstrip("/") + path, headers=headers)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return _Answer(response.status, found, response.read())
    finally:
        connection.close()
