"""Whose work is not to be computed any more, as gateways say.

A notice may come before the work does, so it is kept for a while; how many are kept is
bounded, and what is forgotten is computed for nobody, which does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from google.protobuf.message import DecodeError
from nats.aio.client import Client
from nats.aio.msg import Msg

from servicekit import subjects
from servicekit.subjects import Lane
from sie.work.v1.work_item_pb2 import CancelNotice

_KEPT = 10_000


class Cancellations:
    """The latest notices, by the reply subject of the work.

    Args:
        kept: how many are remembered.

    """

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._subjects: dict[str, None] = {}
        self._listeners: list[Callable[[Collection[str]], None]] = []

    def __contains__(self, reply_subject: str) -> bool:
        return reply_subject in self._subjects

    def __len__(self) -> int:
        return len(self._subjects)

    def subscribe(self, listener: Callable[[Collection[str]], None]) -> None:
        """Have a listener called with the reply subjects of each notice."""
        self._listeners.append(listener)

    async def follow(self, client: Client, lane: Lane) -> None:
        """Take notices of a lane from the broker."""

        async def on_notice(message: Msg) -> None:
            try:
                self.add(CancelNotice.FromString(message.data).reply_subjects)
            except DecodeError:
                return

        await client.subscribe(subjects.cancel_wildcard(lane), cb=on_notice)

    def add(self, reply_subjects: Collection[str]) -> None:
        """Take a notice in."""
        self._subjects.update(dict.fromkeys(reply_subjects))
        while len(self._subjects) > self._kept:
            del self._subjects[next(iter(self._subjects))]
        for listener in self._listeners:
            listener(reply_subjects)
