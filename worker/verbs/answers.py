"""The answers to a work item's items while they are collected."""

from __future__ import annotations

from servicekit.errors import SieError, code_of
from sie.errors.v1.error_reason_pb2 import ErrorReason
from worker.queue.delivery import Delivery


class Answers:
    """One fragment of the reply for each item, or its error.

    Args:
        delivery: the work item.
        verb: the outcome's field in WorkResult.
        count: how many items there are.

    """

    def __init__(self, delivery: Delivery, verb: str, count: int) -> None:
        self._delivery = delivery
        self._verb = verb
        self._count = count
        self._fragments: dict[int, bytes] = {}
        self._errors: dict[int, SieError] = {}

    @property
    def done(self) -> bool:
        """Whether every item has a fragment."""
        return len(self._fragments) == self._count

    def __contains__(self, index: int) -> bool:
        """Whether an item has been answered."""
        return index in self._fragments

    def set(self, index: int, fragment: bytes) -> None:
        """Set the result of one item, a serialised response with that item only."""
        self._fragments[index] = fragment

    def fail(self, index: int, error: SieError, fragment: bytes) -> None:
        """Set the error of one item; `fragment` is the response that says it."""
        self._errors[index] = error
        self._fragments[index] = fragment

    async def finish(self) -> None:
        """Reply and acknowledge. Items that all failed alike are one error."""
        errors = list(self._errors.values())
        reasons = {code_of(error.reason) for error in errors}
        if len(errors) == self._count and len(reasons) == 1:
            await self._delivery.fail(errors[0])
        else:
            fragments = [self._fragments[index] for index in range(self._count)]
            await self._delivery.reply(self._verb, fragments)


def too_large(limit: int) -> SieError:
    """Return what an item fails with whose result no message can carry."""
    return SieError(
        ErrorReason.ERROR_REASON_RESULT_TOO_LARGE,
        f"the result of one item is larger than {limit} bytes",
        limit_bytes=limit,
    )
