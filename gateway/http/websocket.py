"""The WebSocket of the cluster's status: a frame at once, and one each second.

What the client sends is read and dropped; a client that reads slowly is sent what is true by
then, since each frame is made when the one before has gone.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from gateway.auth.pages import PageRules
from gateway.auth.principal import Principal
from gateway.http.body import Receive
from gateway.http.response import Response
from gateway.metadata import Metadata
from servicekit.errors import SieError
from sie.errors.v1.error_reason_pb2 import ErrorReason

PATH = "/ws/cluster-status"
_EVERY_S = 1.0
# The application's own codes begin at 4000; this one says 401.
_UNAUTHENTICATED = 4401
_NOT_FOUND = 4404

Send = Callable[[dict[str, Any]], Awaitable[None]]


class UpgradeRequired(SieError):  # noqa: N818 - named by its meaning, as its base is
    """The path is a WebSocket's, and was asked for as a page (RFC 9110, 15.5.22)."""

    def __init__(self) -> None:
        self.headers = {"upgrade": "websocket", "connection": "upgrade"}
        super().__init__(
            ErrorReason.ERROR_REASON_UPGRADE_REQUIRED,
            f"{PATH} is a WebSocket: connect to it with ws:// or wss://",
            path=PATH,
        )


def without_upgrade(_reader: Principal) -> Response:
    """Answers who asks for the WebSocket's path as for a page.

    Raises:
        SieError: UPGRADE_REQUIRED, always.
    """
    raise UpgradeRequired


class StatusSocket:
    """Answers WebSocket connections.

    Args:
        frame: makes a frame for a reader.
        page_rules: who may connect.
    """

    def __init__(self, frame: Callable[[Principal], str], page_rules: PageRules) -> None:
        self._frame = frame
        self._page_rules = page_rules

    async def __call__(self, path: str, metadata: Metadata, receive: Receive, send: Send) -> None:
        """Serves one connection to its end."""
        await receive()
        reader = self._admit(path, metadata)
        if not isinstance(reader, Principal):
            await send({"type": "websocket.close", "code": reader})
            return
        await send({"type": "websocket.accept"})
        gone = asyncio.create_task(_gone(receive))
        try:
            while not gone.done():
                await send({"type": "websocket.send", "text": self._frame(reader)})
                await asyncio.wait({gone}, timeout=_EVERY_S)
        finally:
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await gone

    def _admit(self, path: str, metadata: Metadata) -> Principal | int:
        """Who reads, or the code to close with."""
        if path != PATH:
            return _NOT_FOUND
        try:
            metadata.check()
            return self._page_rules.check(path, metadata)
        except SieError:
            return _UNAUTHENTICATED


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "websocket.disconnect":
        pass
