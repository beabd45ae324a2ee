"""Sends calls over HTTP: once blocking, once with asyncio, both over the same wire."""

import time

import httpx

from sie_sdk._core.failure import Failure, Kind
from sie_sdk._core.rpcs import Call, Reply
from sie_sdk._core.settings import Settings
from sie_sdk._http.tls import context_of
from sie_sdk._http.wire import base_headers, failure_of, outcome_of, request_of

# The server's own answer that the deadline passed should arrive before we stop listening.
_GRACE_S = 1.0


class HttpTransport:
    """Blocking; may be used from many threads.

    Args:
        settings: of the client.
    """

    def __init__(self, settings: Settings) -> None:
        self._client = httpx.Client(
            base_url=settings.url,
            headers=base_headers(settings),
            verify=context_of(settings.tls) or True,
            limits=_limits(settings),
            trust_env=settings.uses_proxies,
        )

    def send(self, call: Call, timeout_s: float) -> Reply | Failure:
        request = request_of(call, timeout_s)
        end = time.monotonic() + timeout_s + _GRACE_S
        body = bytearray()
        try:
            with self._client.stream(
                request.method,
                request.path,
                headers=request.headers,
                content=request.body,
                timeout=_timeout(timeout_s),
            ) as response:
                for part in response.iter_bytes():
                    body += part
                    if time.monotonic() > end:
                        return _TOO_SLOW
                return outcome_of(response.status_code, response.headers, bytes(body))
        except (httpx.HTTPError, OSError) as error:
            return failure_of(error)

    def close(self) -> None:
        self._client.close()


class AsyncHttpTransport:
    """The same with asyncio.

    Args:
        settings: of the client.
    """

    def __init__(self, settings: Settings) -> None:
        self._client = httpx.AsyncClient(
            base_url=settings.url,
            headers=base_headers(settings),
            verify=context_of(settings.tls) or True,
            limits=_limits(settings),
            trust_env=settings.uses_proxies,
        )

    async def send(self, call: Call, timeout_s: float) -> Reply | Failure:
        request = request_of(call, timeout_s)
        end = time.monotonic() + timeout_s + _GRACE_S
        body = bytearray()
        try:
            async with self._client.stream(
                request.method,
                request.path,
                headers=request.headers,
                content=request.body,
                timeout=_timeout(timeout_s),
            ) as response:
                async for part in response.aiter_bytes():
                    body += part
                    if time.monotonic() > end:
                        return _TOO_SLOW
                return outcome_of(response.status_code, response.headers, bytes(body))
        except (httpx.HTTPError, OSError) as error:
            return failure_of(error)

    async def close(self) -> None:
        await self._client.aclose()


_TOO_SLOW = Failure(Kind.TIMEOUT, "the answer came too slowly")


def _timeout(timeout_s: float) -> httpx.Timeout:
    # None: a call that waits for a connection waits for others that are bounded themselves.
    return httpx.Timeout(timeout_s + _GRACE_S, connect=timeout_s, pool=None)


def _limits(settings: Settings) -> httpx.Limits:
    return httpx.Limits(
        max_connections=settings.max_connections,
        max_keepalive_connections=settings.max_connections,
    )
