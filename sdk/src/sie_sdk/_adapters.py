"""What adapters for frameworks have in common."""

import asyncio
import weakref
from collections.abc import Iterable, Mapping
from typing import Any

from sie_sdk._core.results import only
from sie_sdk.async_client import SIEAsyncClient
from sie_sdk.client import SIEClient
from sie_sdk.types import EncodeResult, ScoreResult


class Connection:
    """Clients of one gateway, opened when first used.

    Frameworks call from any event loop, to each of which an asyncio client of its own belongs.

    Args:
        base_url: of the gateway.
        options: of the clients.
    """

    def __init__(self, base_url: str, options: Mapping[str, Any]) -> None:
        self._base_url = base_url
        self._options = dict(options)
        self.client = SIEClient(base_url, **self._options)
        self._async_clients: weakref.WeakKeyDictionary[
            asyncio.AbstractEventLoop, SIEAsyncClient
        ] = weakref.WeakKeyDictionary()

    @property
    def async_client(self) -> SIEAsyncClient:
        """The client of the running loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._async_clients:
            self._async_clients[loop] = SIEAsyncClient(self._base_url, **self._options)
        return self._async_clients[loop]


def vectors(results: Iterable[EncodeResult]) -> list[list[float]]:
    """Dense vectors as lists.

    Raises:
        SIEError: an item failed.
    """
    return [only([result])["dense"].tolist() for result in results]


def ranked(result: ScoreResult, most: int | None) -> list[tuple[int, float]]:
    """Position and score of each item, best first; of those with a score, at most so many.

    Raises:
        SIEError: an item failed.
    """
    return [(entry["index"], float(entry["score"])) for entry in map(_checked, result["scores"])][
        :most
    ]


def _checked(entry: Any) -> Any:
    return only([entry])
