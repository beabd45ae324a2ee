"""Frames of `/ws/cluster-status`, and what to do when they stop."""

import json
from collections.abc import Mapping
from typing import Any

from sie_sdk._core.settings import Settings
from sie_sdk.errors import RequestError, SIEConnectionError, SIEError

_PATH = "/ws/cluster-status"
_LONGEST_S = 5.0
# Frames come each second.
SILENCE_S = 15.0


class Watch:
    """One watch of the cluster, over as many connections as it takes.

    Args:
        settings: of the client.
        reconnects: whether a connection that is lost is made again.

    Raises:
        SIEError: the address is not HTTP.
    """

    def __init__(self, settings: Settings, *, reconnects: bool) -> None:
        if settings.is_grpc:
            raise SIEError("watch needs an http(s) address")
        scheme = "wss" if settings.url.startswith("https") else "ws"
        self.url = f"{scheme}://{settings.host}{_PATH}"
        self.headers = dict(settings.headers)
        if settings.api_key:
            self.headers["authorization"] = f"Bearer {settings.api_key}"
        self._reconnects = reconnects
        self._losses = 0

    def frame(self, text: str | bytes) -> Mapping[str, Any]:
        """A frame."""
        frame: dict[str, Any] = json.loads(text)
        self._losses = 0
        return frame

    def lost(self, error: Exception) -> float:
        """Seconds until the next connection.

        Raises:
            SIEError: there is none.
        """
        if (response := getattr(error, "response", None)) is not None:
            status = response.status_code
            raise RequestError(f"the watch was refused: HTTP {status}", status_code=status)
        if not self._reconnects:
            raise SIEConnectionError(f"the watch was cut off: {error}")
        self._losses += 1
        return float(min(2.0 ** (self._losses - 1), _LONGEST_S))
