"""Idempotency keys: what commands that came with one did, so that none is done twice."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from google.protobuf.message import Message

from servicekit.errors import SieError
from servicekit.idempotency import check_key
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.registry.v1.registry_service_pb2 import Receipt

MAX_RECEIPTS = 10_000


class Identity(NamedTuple):
    """A key and the request that came with it, as digests."""

    key_sha256: bytes
    request_sha256: bytes


def identity_of(key: str, request: Message) -> Identity:
    """The identity of a request.

    Raises:
        SieError: INVALID_INPUT, the key is none.
    """
    check_key(key)
    digest = hashlib.sha256(request.DESCRIPTOR.full_name.encode() + b"\0")
    digest.update(request.SerializeToString(deterministic=True))
    return Identity(hashlib.sha256(key.encode()).digest(), digest.digest())


class Receipts:
    """The newest receipts by key.

    Args:
        most: how many are kept.
    """

    def __init__(self, most: int = MAX_RECEIPTS) -> None:
        self._most = most
        self._by_key: OrderedDict[bytes, Receipt] = OrderedDict()
        self._forgotten: list[Receipt] = []

    def find(self, identity: Identity) -> Receipt | None:
        """What the request did when it came before.

        Raises:
            SieError: IDEMPOTENCY_CONFLICT, the key came with another request.
        """
        receipt = self._by_key.get(identity.key_sha256)
        if receipt is not None and receipt.request_sha256 != identity.request_sha256:
            raise SieError(
                ErrorReason.ERROR_REASON_IDEMPOTENCY_CONFLICT,
                "the idempotency key was used before, with another request",
                revision=receipt.revision,
            )
        return receipt

    def add(self, receipt: Receipt) -> None:
        """Remembers a receipt, and forgets the oldest where there are too many."""
        self._by_key[receipt.key_sha256] = receipt
        while len(self._by_key) > self._most:
            self._forgotten.append(self._by_key.popitem(last=False)[1])

    def restore(self, recorded: Iterable[Receipt]) -> None:
        """Joins receipts that have messages of their own with those of events, by age.

        Args:
            recorded: every one that the store holds beside the events.
        """
        recorded = list(recorded)
        found = self._by_key | {receipt.key_sha256: receipt for receipt in recorded}
        oldest_first = sorted(found.items(), key=lambda item: item[1].revision)
        self._by_key = OrderedDict(oldest_first[-self._most :])
        self._forgotten = [each for each in recorded if each.key_sha256 not in self._by_key]

    def __contains__(self, receipt: Receipt) -> bool:
        return receipt.key_sha256 in self._by_key

    def take_forgotten(self) -> list[Receipt]:
        """What was forgotten since the last call."""
        forgotten, self._forgotten = self._forgotten, []
        return forgotten

    def all(self) -> list[Receipt]:
        """Every receipt, oldest first."""
        return list(self._by_key.values())

    def clear(self) -> None:
        self._by_key.clear()
