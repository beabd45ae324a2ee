"""uvicorn's connection, with an end to its patience.

Of itself it waits for ever for a head that does not come, and for a peer that does not read. How
long a body may take is the request's own deadline.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class PatientProtocol(HttpToolsProtocol):
    """One connection.

    Args:
        headers_within_s: from the connection, or the first byte of a head, to its last.
        arguments: uvicorn's.
    """

    def __init__(self, headers_within_s: float, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._headers_within_s = headers_within_s
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread = 0

    def connection_made(  # type: ignore[override]
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        self._await_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._stop_timer()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self) -> None:
        """Closes an idle connection; cuts one whose peer has read nothing since the last time."""
        unread = self.transport.get_write_buffer_size()
        if not unread:
            super().timeout_keep_alive_handler()
        elif unread == self._unread:
            self.transport.abort()
        else:
            self._unread = unread
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self._headers_within_s, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
