"""The client library's connection, with less between a message and its socket.

    publish ─► pending ─► one write a turn of the event loop      (library: a task, a future each)
    socket ─► parser ─► handler                                   (library: a queue, a task each)

A write for each message would wake the broker for each of them.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import BadHeaderError, BadSubjectError

log = logging.getLogger(__name__)

# What may wait for the socket before publishers wait for it too.
_SOCKET_BYTES = 256 * 1024

# In a subject or a header they would end it, and what follows would be a command of the sender's.
_SEPARATORS = re.compile(r"[ \t\r\n]")
_LINE_ENDS = re.compile(rb"[\r\n]")

# Called with the subject and the body of a message.
Handler = Callable[[str, bytes], None]


class PromptClient(Client):
    """A client whose cost for each message is a part of the base class's."""

    def __init__(self) -> None:
        super().__init__()
        self._gathering = False
        self._handlers: dict[int, Handler] = {}

    async def listen(self, subject: str, handler: Handler) -> None:
        """Has a handler called with each message of a subject, in the turn in which it is read.

        The handler must not raise nor take long: whatever else the connection brings waits
        for it.
        """

        async def until_known(message: Msg) -> None:
            handler(message.subject, message.data)

        subscription = await self.subscribe(subject, cb=until_known)
        self._handlers[subscription._id] = handler  # noqa: SLF001 - it has no other name

    async def publish(
        self,
        subject: str,
        payload: bytes = b"",
        reply: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        if self._status != Client.CONNECTED or len(payload) > self._max_payload:
            # The library knows what to raise, and what may wait for the next connection.
            await super().publish(subject, payload, reply, headers)
            return
        command = _command(subject, payload, reply, headers)
        self.stats["out_msgs"] += 1
        self.stats["out_bytes"] += len(payload)
        self._pending.append(command)
        self._pending_data_size += len(command)
        if self._pending_data_size > self._max_pending_size or _congested(self._transport):
            await super()._flush_pending(self._pending_data_size > self._max_pending_size)
        elif not self._gathering:
            self._write_soon()

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        handler = self._handlers.get(sid)
        if handler is None:
            await super()._process_msg(sid, subject, reply, data, headers)
            return
        self.stats["in_msgs"] += 1
        self.stats["in_bytes"] += len(data)
        try:
            handler(subject.decode(), data)
        except Exception:
            # It would take the connection with it.
            log.exception("message handler failed")

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        if not _takes_bytes(self._transport):
            # The library would write what waits to the socket that was lost, and fail.
            self._pending, self._pending_data_size = [], 0
        await super()._close(status, do_cbs)

    async def _flush_pending(self, force_flush: bool = False) -> Any:
        if force_flush or not self.is_connected or _congested(self._transport):
            return await super()._flush_pending(force_flush)
        if not self._gathering:
            self._write_soon()
        return None

    async def _send_ping(self, future: asyncio.Future[Any] | None = None) -> None:
        # The library writes it past what is pending, of which its answer is to be the proof.
        self._write()
        await super()._send_ping(future)

    def _write_soon(self) -> None:
        self._gathering = True
        asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        self._gathering = False
        # What a lost connection leaves is sent by the next one.
        if self._pending and self.is_connected:
            transport: Any = self._transport
            transport.writelines(self._pending)
            self._pending = []
            self._pending_data_size = 0


def _command(subject: str, payload: bytes, reply: str, headers: Mapping[str, str] | None) -> bytes:
    if not subject or _SEPARATORS.search(subject) or _SEPARATORS.search(reply):
        raise BadSubjectError
    if not headers:
        return b"PUB %b %b %d\r\n%b\r\n" % (
            subject.encode(),
            reply.encode(),
            len(payload),
            payload,
        )
    # The library's own names are members of an enum, of which a format would show another name.
    lines = b"".join([b"%b: %b\r\n" % (k.encode(), v.encode()) for k, v in headers.items()])
    if len(_LINE_ENDS.findall(lines)) != 2 * len(headers):
        raise BadHeaderError("a line end in a header")
    head = b"NATS/1.0\r\n%b\r\n" % lines
    size = len(head) + len(payload)
    return b"HPUB %b %b %d %d\r\n%b%b\r\n" % (
        subject.encode(),
        reply.encode(),
        len(head),
        size,
        head,
        payload,
    )


def _takes_bytes(transport: Any) -> bool:
    stream = transport and transport._io_writer  # noqa: SLF001 - the library has no name for it
    return stream is not None and not stream.is_closing()


def _congested(transport: Any) -> bool:
    stream = transport._io_writer  # noqa: SLF001 - the library has no name for it
    return stream is None or stream.transport.get_write_buffer_size() > _SOCKET_BYTES
