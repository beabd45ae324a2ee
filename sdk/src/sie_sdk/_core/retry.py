"""Whether and when a failed call is tried again: a pure function of what failed and of the time.

    what failed                  tried again    after                         at most
    202, no worker yet           if waiting     Retry-After, or 5 s           the budget
    MODEL_LOADING                always         Retry-After, or 5 s           the budget
    LORA_LOADING                 always         Retry-After, or 1 s           10 times
    RESOURCE_EXHAUSTED (503)     always         Retry-After, doubled, <= 30   `oom_retries` times
    other 503                    if waiting     Retry-After, or 5 s           the budget
    nobody reached               if waiting     1, 2, 4, 5, 5... s            the budget
    504, no answer in time       if waiting     Retry-After, or 5 s           3 times
    429                          in bulk        Retry-After                   the budget
    everything else              no

A 503 that names its reason and no time to come back is final: that is how a server says that
waiting does not help. Timeouts are few because the work may have been done each time. Every wait
is lengthened by up to a quarter, so that many clients do not come back as one.
"""

import random
from collections import Counter
from dataclasses import dataclass

from sie_sdk._core.failure import Failure, Kind, error_of

_DEFAULT_S = 5.0
_LONGEST_OOM_S = 30.0
_JITTER = 0.25
# The last attempt gets at least this much of the budget.
_LAST_ATTEMPT_S = 1.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call may take, all attempts together, and what it waits for.

    Args:
        budget_s: from the first attempt to the end of the last.
        waits: for capacity and for a server that does not answer.
        oom_retries: after the device ran out of memory.
        waits_for_quota: for a limit of the tenant's to allow more.
    """

    budget_s: float
    waits: bool = True
    oom_retries: int = 3
    waits_for_quota: bool = False


@dataclass(frozen=True, slots=True)
class _Rule:
    """How one kind of failure is met: again after `delay_s`, at most `limit` times."""

    name: str
    delay_s: float
    limit: float = float("inf")
    # Gives up where the wait would not fit into the budget, instead of shortening it.
    gives_up: bool = False


class Retry:
    """The attempts of one call.

    Args:
        patience: its bounds.
        now: monotonic seconds, as in every call of `after`.
        rng: of the jitter.
    """

    def __init__(self, patience: Patience, now: float, rng: random.Random) -> None:
        self._patience = patience
        self._end = now + patience.budget_s
        self._rng = rng
        self._counts: Counter[str] = Counter()

    def remaining_s(self, now: float) -> float:
        """What is left of the budget."""
        return max(0.0, self._end - now)

    def after(self, failure: Failure, now: float) -> float:
        """Seconds until the next attempt.

        Raises:
            SIEError: there is none.
        """
        rule = self._rule(failure)
        left = self.remaining_s(now) - _LAST_ATTEMPT_S
        if rule is None or self._counts[rule.name] >= rule.limit or left <= 0:
            raise error_of(failure)
        self._counts[rule.name] += 1
        delay = rule.delay_s * (1 + _JITTER * self._rng.random())
        if rule.gives_up and delay >= left:
            raise error_of(failure)
        return min(delay, left)

    def _rule(self, failure: Failure) -> _Rule | None:
        if failure.kind is not Kind.ANSWER:
            return self._unanswered(failure)
        hint = failure.retry_after_s
        delay = hint or _DEFAULT_S
        waits = self._patience.waits
        if failure.status == 202:
            return _Rule("provisioning", delay) if waits else None
        if failure.status == 503:
            return self._unavailable(failure, hint)
        if failure.status == 504:
            return _Rule("timeout", delay, limit=3) if waits else None
        if failure.status == 429 and hint:
            return _Rule("quota", delay) if self._patience.waits_for_quota else None
        return None

    def _unanswered(self, failure: Failure) -> _Rule | None:
        if not self._patience.waits:
            return None
        if failure.kind is Kind.TIMEOUT:
            return _Rule("timeout", _DEFAULT_S, limit=3)
        if failure.kind is Kind.CONNECTION:
            return _Rule("connection", min(2.0 ** min(self._counts["connection"], 3), _DEFAULT_S))
        return None

    def _unavailable(self, failure: Failure, hint: float | None) -> _Rule | None:
        delay = hint or _DEFAULT_S
        match failure.code:
            case "MODEL_LOADING":
                return _Rule("loading", delay)
            case "LORA_LOADING":
                return _Rule("lora", hint or 1.0, limit=10)
            case "RESOURCE_EXHAUSTED":
                return self._out_of_memory(delay)
        is_final = bool(failure.code) and hint is None
        return _Rule("unavailable", delay) if self._patience.waits and not is_final else None

    def _out_of_memory(self, hint: float) -> _Rule:
        before = self._counts["oom"]
        delay = max(_DEFAULT_S, hint) * 2.0**before if before else hint
        return _Rule(
            "oom", min(delay, _LONGEST_OOM_S), limit=self._patience.oom_retries, gives_up=True
        )
