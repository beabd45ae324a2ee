"""The HTTP server: uvicorn inside the service's own loop and life cycle."""

import asyncio
import contextlib
import socket
from functools import partial
from typing import Any

import uvicorn

from gateway.http.protocol import PatientProtocol
from servicekit.tls import ServerTls

_BACKLOG = 2048
# Longer than clients and load balancers keep idle connections, so that it is they who close
# them, and no request meets a connection that is being closed here.
_KEEP_ALIVE_S = 75
# From when no connection is accepted any more to when those without a request are closed.
_LAST_REQUESTS_S = 0.25
# A client that has begun to say what it wants, or connected, ends its headers within this.
_HEADERS_WITHIN_S = 10.0


class HttpServer:
    """Serves an ASGI application, as servicekit.grpc_server serves gRPC.

    Args:
        app: the application.
        host: address to listen on.
        port: 0 takes a free one.
        tls: None serves in clear.
        headers_within_s: connections without a whole head so long after it began are cut.
        shares_port: see GrpcServer.
        keep_alive_s: idle connections are kept so long, and those that read nothing.
    """

    def __init__(
        self,
        app: Any,
        host: str,
        port: int,
        tls: ServerTls | None = None,
        *,
        headers_within_s: float = _HEADERS_WITHIN_S,
        shares_port: bool = False,
        keep_alive_s: float = _KEEP_ALIVE_S,
    ) -> None:
        self._host = host
        self._port = port
        self._shares_port = shares_port
        config = uvicorn.Config(
            app,
            loop="none",
            http=partial(PatientProtocol, headers_within_s),  # type: ignore[arg-type]
            ws="wsproto",
            # What clients of the status send is not read.
            ws_max_size=1024,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=_BACKLOG,
            # A fraction works as well: it is only added to a time.
            timeout_keep_alive=keep_alive_s,  # type: ignore[arg-type]
        )
        config.load()
        config.ssl = tls.http_context() if tls else None
        self._server = _Server(config)
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Listens, and returns the port.

        Raises:
            OSError: the address is taken, and the message names it, or TLS cannot be begun.
        """
        listener = _listen(self._host, self._port, shares_port=self._shares_port)
        port: int = listener.getsockname()[1]
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        listening = asyncio.create_task(self._server.listening.wait())
        try:
            await asyncio.wait({listening, self._serving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            listening.cancel()
        if self._serving.done():
            listener.close()
            await self._serving
        return port

    async def stop(self, grace_s: float) -> None:
        """Stops listening and lets requests in flight finish within `grace_s` seconds."""
        if self._serving is None:
            return
        # uvicorn wants whole seconds in its type, and hands them to asyncio.wait_for.
        self._server.config.timeout_graceful_shutdown = grace_s  # type: ignore[assignment]
        self._server.last_requests_s = min(_LAST_REQUESTS_S, grace_s)
        self._server.should_exit = True
        await self._serving


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self.last_requests_s = _LAST_REQUESTS_S

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Closes connections only when those that were made before had time to ask.

        A connection that is closed with a request in it that nobody has read is reset: its client
        could not tell whether the request was accepted.
        """
        # What waits to be accepted is accepted first.
        await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        await asyncio.sleep(self.last_requests_s)
        await super().shutdown(sockets)

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        """Signals belong to servicekit.lifecycle."""
        return contextlib.nullcontext()


def _listen(host: str, port: int, *, shares_port: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shares_port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from None
    listener.setblocking(False)
    return listener
