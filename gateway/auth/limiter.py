"""What each tenant has taken of this gateway: a pure account of tokens and calls in flight.

Tokens are known after the work is done, so a call is admitted while its tenant's bucket holds
anything and is charged with what it took, if need be below zero: the next call then waits
until the bucket has filled again. A bucket holds a minute's allowance.
"""

from dataclasses import dataclass

from gateway.auth.principal import Limits, Principal
from servicekit.errors import SieError
from sie.errors.v1.error_reason_pb2 import ErrorReason

_MINUTE_S = 60.0
_BUSY_RETRY_S = 1.0


@dataclass(slots=True)
class _Account:
    tokens: float
    filled_at: float
    in_flight: int = 0

    def fill(self, per_minute: int, now: float) -> None:
        gained = (now - self.filled_at) * per_minute / _MINUTE_S
        self.tokens = min(float(per_minute), self.tokens + gained)
        self.filled_at = now


class Limiter:
    """Accounts by tenant. Times are seconds of one monotonic clock, given by the caller."""

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] = {}

    def enter(self, principal: Principal, now: float, *, takes_tokens: bool = True) -> None:
        """Counts a call in.

        Args:
            principal: who calls.
            now: the time.
            takes_tokens: whether it will; what it takes is counted in either case. Who has none
                left may still look, cancel a batch, and renew a lease.

        Raises:
            SieError: QUOTA_EXCEEDED, which says when to come back.
        """
        limits = principal.limits
        account = self._account(principal, now)
        if limits.concurrent_requests and account.in_flight >= limits.concurrent_requests:
            raise _exceeded(principal.tenant, "concurrent_requests", limits, _BUSY_RETRY_S)
        if takes_tokens and limits.tokens_per_minute and account.tokens <= 0:
            wait_s = (1 - account.tokens) * _MINUTE_S / limits.tokens_per_minute
            raise _exceeded(principal.tenant, "tokens_per_minute", limits, wait_s)
        account.in_flight += 1

    def leave(self, principal: Principal, tokens: int, now: float) -> None:
        """Counts a call out, and charges the tokens that it took."""
        account = self._account(principal, now)
        account.in_flight -= 1
        account.tokens -= tokens

    def _account(self, principal: Principal, now: float) -> _Account:
        per_minute = principal.limits.tokens_per_minute
        account = self._accounts.get(principal.tenant)
        if account is None:
            account = _Account(float(per_minute), now)
            self._accounts[principal.tenant] = account
        account.fill(per_minute, now)
        return account


def _exceeded(tenant: str, limit: str, limits: Limits, retry_after_s: float) -> SieError:
    bound = getattr(limits, limit)
    return SieError(
        ErrorReason.ERROR_REASON_QUOTA_EXCEEDED,
        f"tenant '{tenant}' has reached its limit of {bound} {limit.replace('_', ' ')}",
        retry_after_s=retry_after_s,
        tenant=tenant,
        limit=limit,
    )
