"""How much of the store a tenant may fill with files."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from servicekit.errors import SieError
from sie.errors.v1.error_reason_pb2 import ErrorReason

# What other gateways have taken in meanwhile is not seen for so long.
_COUNTED_S = 10.0


class _Count(NamedTuple):
    bytes: int
    at: float


class Quota:
    """Counts what tenants have, and refuses what would be more than they may.

    Args:
        most_bytes: of all files of a tenant; 0: no bound.
        count: counts those of a tenant that are known, in bytes.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        most_bytes: int,
        count: Callable[[str], Awaitable[int]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most_bytes = most_bytes
        self._count = count
        self._clock = clock
        self._counts: dict[str, _Count] = {}
        # Taken here since the count, or of files that are not known yet.
        self._taken: Counter[str] = Counter()

    async def take(self, tenant: str, size: int) -> None:
        """Takes room for so many bytes; `settle` tells that they are known, or gone.

        Raises:
            SieError: QUOTA_EXCEEDED.
        """
        if self._most_bytes:
            held = await self._counted(tenant) + self._taken[tenant]
            if held + size > self._most_bytes:
                raise SieError(
                    ErrorReason.ERROR_REASON_QUOTA_EXCEEDED,
                    f"tenant '{tenant}' has {held} bytes of files, and may have "
                    f"{self._most_bytes}: delete some",
                    retry_after_s=_COUNTED_S,
                    tenant=tenant,
                    limit="file_bytes",
                )
        self._taken[tenant] += size

    def settle(self, tenant: str, size: int) -> None:
        """Has the tenant's files counted again, among which are so many bytes that were taken."""
        self._taken[tenant] -= size
        if not self._taken[tenant]:
            del self._taken[tenant]
        self._counts.pop(tenant, None)

    async def _counted(self, tenant: str) -> int:
        count = self._counts.get(tenant)
        if count is None or self._clock() - count.at > _COUNTED_S:
            count = self._counts[tenant] = _Count(await self._count(tenant), self._clock())
        return count.bytes
