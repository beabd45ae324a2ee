"""How long pools live without renewal, in time that this process itself has measured.

    logged renewal ──── term ────┬─ term / 4 ─┐
         │  first seen here      │            └─ expired
         └─ term / 4 ─ renewals are not logged ─┘

A renewal is logged only when the last one in the log is a quarter of the term old, so that a
pool renewed every minute writes every five. A lease therefore ends five quarters after the
last logged renewal: at least one term after the last renewal of all.

Time is monotonic and begins when this process first sees a renewal in the log. No clock of
another process takes part, so a clock that jumps neither ends a lease nor prolongs it; a
config service that starts, or takes over from another, gives every pool one full lease. Time
in which it was stopped, or the store could not be written, does not count.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sie.pool.v1.pool_pb2 import Pool

_COALESCED = 0.25


@dataclass(frozen=True)
class _Seen:
    """A renewal in the log.

    Attributes:
        renewal: what tells it from the one before.
        at: when it was first seen, seconds, monotonic.
        uncounted: seconds since then that do not count.
    """

    renewal: tuple[int, int]
    at: float
    uncounted: float = 0.0


class Leases:
    """Which renewals to log and which pools have expired; no clock of its own."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def observe(self, pools: Mapping[str, Pool], now: float) -> None:
        """Takes in the pools of the registry, at least once a second.

        Args:
            pools: by name.
            now: seconds, monotonic.
        """
        seen = {}
        for name, pool in pools.items():
            renewal = (pool.status.last_renewed.seconds, pool.status.last_renewed.nanos)
            known = self._seen.get(name)
            seen[name] = known if known and known.renewal == renewal else _Seen(renewal, now)
        self._seen = seen

    def prolong(self, seconds: float) -> None:
        """Leaves a time out of account in which no renewal could have been written."""
        self._seen = {
            name: replace(seen, uncounted=seen.uncounted + seconds)
            for name, seen in self._seen.items()
        }

    def worth_logging(self, pool: Pool, now: float) -> bool:
        """Whether a renewal that is heard now must be logged to count."""
        known = self._seen.get(pool.spec.name)
        return known is None or now - known.at >= _COALESCED * pool.spec.ttl_seconds

    def expired(self, pools: Mapping[str, Pool], now: float) -> list[str]:
        """Names of the observed pools whose lease has run out, ordered."""
        return sorted(
            name
            for name, seen in self._seen.items()
            if name in pools
            and now - seen.at - seen.uncounted > (1 + _COALESCED) * pools[name].spec.ttl_seconds
        )
