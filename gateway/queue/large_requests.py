"""Requests that are too large for a message: they wait in a store, and the message has the key."""

import logging
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

from gateway.queue.work import PackedWorkItem
from servicekit.errors import SieError
from servicekit.payloads import PayloadStore

log = logging.getLogger(__name__)

# Room for a message's headers beside its payload.
_HEADER_BYTES = 1024


class LargeRequests:
    """Puts them into a store, and removes them.

    Args:
        store: where they are kept.
    """

    def __init__(self, store: PayloadStore) -> None:
        self._store = store

    async def keep(self, items: Iterable[Any], max_bytes: int, keys: list[str]) -> None:
        """Has items that the broker would refuse refer to a payload, whose keys go into `keys`.

        Args:
            items: packed twins of WorkItem.
            max_bytes: of a message.
            keys: complete up to where it failed, so that what was kept can be removed.

        Raises:
            SieError: PAYLOAD_UNAVAILABLE.
        """
        for item in items:
            if item.ByteSize() <= max_bytes - _HEADER_BYTES:
                continue
            verb = item.WhichOneof("request")
            request = PackedWorkItem(**{verb: getattr(item, verb)}).SerializeToString()
            keys.append(secrets.token_hex(16))
            await self._store.put(keys[-1], request)
            item.ClearField(verb)
            item.payload.key, item.payload.size_bytes = keys[-1], len(request)

    async def remove(self, keys: Sequence[str]) -> None:
        """Removes payloads. What cannot be removed the store forgets when it is old."""
        for key in keys:
            try:
                await self._store.delete(key)
            except SieError as error:
                log.info("payload not removed: %s", error)
