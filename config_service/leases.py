"""How long pools live without renewal, in time that this process itself has measured.

    logged renewal ──── term ────┬─ term / 4 ─┐
         │  first seen here      │            └─ expired
         └─ term / 4 ─ renewals are not logged ─┘

A renewal is logged only when the last one in the log is a quarter of the term old, so that a
pool renewed every minute writes every five. A lease therefore ends five quarters after the
last logged renewal: at least one term after the last renewal of all.

Time is monotonic and begins when this process first sees a renewal in the log. No clock of
another process takes part, so a clock that jumps neither ends a lease nor prolongs it; a
config service that starts, or takes over from another, gives every pool one full lease.
"""

from collections.abc import Mapping

from sie.pool.v1.pool_pb2 import Pool

_COALESCED = 0.25


class Leases:
    """Which renewals to log and which pools have expired; no clock of its own."""

    def __init__(self) -> None:
        # By name: what tells a renewal from the one before, and when it was first seen.
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}

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
            seen[name] = known if known and known[0] == renewal else (renewal, now)
        self._seen = seen

    def worth_logging(self, pool: Pool, now: float) -> bool:
        """Whether a renewal that is heard now must be logged to count."""
        known = self._seen.get(pool.spec.name)
        return known is None or now - known[1] >= _COALESCED * pool.spec.ttl_seconds

    def expired(self, pools: Mapping[str, Pool], now: float) -> list[str]:
        """Names of the observed pools whose lease has run out, ordered."""
        return sorted(
            name
            for name, (_, since) in self._seen.items()
            if name in pools and now - since > (1 + _COALESCED) * pools[name].spec.ttl_seconds
        )
