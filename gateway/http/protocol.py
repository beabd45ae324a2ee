"""uvicorn's connection, with an end to its patience and to its memory.

Of itself it waits for ever for a head that does not come, and for a peer that does not read, and
keeps as many headers, trailers and extensions of chunks as are sent. How long a body may take is
the request's own deadline, and how large it may be its reader's business.
"""

import asyncio
import http
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.http.response import error_response
from gateway.request_id import request_id_of
from servicekit.errors import SieError, invalid
from sie.errors.v1.error_reason_pb2 import ErrorReason

# Of what is sent without ending a head or being a part of a body; one read of a socket more.
_MOST_FRAMING_BYTES = 64 * 1024


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
        self._framing_bytes = 0

    def connection_made(  # type: ignore[override]
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        self._framing_bytes += len(data)
        super().data_received(data)
        if self._framing_bytes > _MOST_FRAMING_BYTES and not self.transport.is_closing():
            self._refuse(
                SieError(
                    ErrorReason.ERROR_REASON_PAYLOAD_TOO_LARGE,
                    f"the request's head is larger than {_MOST_FRAMING_BYTES} bytes",
                    limit_bytes=_MOST_FRAMING_BYTES,
                )
            )

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP."""
        self._refuse(invalid("request", "is not HTTP/1.1"))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._framing_bytes = 0
        self._stop_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._framing_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._framing_bytes = 0
        super().on_message_complete()

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

    def _refuse(self, error: SieError) -> None:
        """Says what is wrong, unless that would stand in the midst of an answer, and closes."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if cycle.response_started or self.pipeline:
                self.transport.abort()
                return
            # Its body breaks off here. To whoever reads it the client has gone.
            cycle.disconnected = True
            cycle.message_event.set()
        answer = error_response(error, request_id_of({}))
        headers = {
            **answer.headers,
            "content-length": str(len(answer.body)),
            "connection": "close",
        }
        lines = [f"HTTP/1.1 {answer.status} {http.HTTPStatus(answer.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body)
        self.transport.close()

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self._headers_within_s, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
