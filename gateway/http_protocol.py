"""uvicorn's HTTP/1.1, with bounds on how long a connection may say nothing, or half a request.

A connection that is silent is closed after the keep-alive time, and one whose request's head
stays incomplete after `head_s`; bodies have bounds of their own (`http_body`).
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# A head is a few packets; who sends one for longer only holds the connection.
HEAD_S = 15.0


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection."""

    head_s = HEAD_S
    """Seconds from the first byte of a request to the end of its head."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Close the connection if nothing at all is sent."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_timer = self.loop.call_later(self.head_s, self.transport.close)

    def on_headers_complete(self) -> None:
        self._head_arrived()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        super().connection_lost(exc)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
