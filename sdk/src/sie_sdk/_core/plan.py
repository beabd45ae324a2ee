"""A call as a plan: a generator that says what to do next and is told what came of it.

    plan ── Send(call) ──────────► driver        blocking (client.py) or asyncio (async_client.py)
         ◄─ Reply or Failure ────
         ── Sleep(seconds) ──────►
         ── Together(plans) ─────►               several plans, so many at a time
         ◄─ their results ───────
         ── Begin(plan) ─────────►               beside everything else, until the client closes
         return result

Everything that decides is in plans, so the two clients share it, and tests run it without a
network and without waiting.
"""

import logging
import random
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from sie_sdk._core.failure import Failure
from sie_sdk._core.retry import Patience, Retry
from sie_sdk._core.rpcs import Call, Reply

log = logging.getLogger("sie_sdk")

T = TypeVar("T")


class Send(NamedTuple):
    """Send a call; answered with a Reply or a Failure within about `timeout_s`."""

    call: Call
    timeout_s: float


class Sleep(NamedTuple):
    """Wait, unless the client is closed."""

    seconds: float


class Together(NamedTuple):
    """Run plans, `in_flight` at a time; answered with the list of their results, in order."""

    plans: "Iterable[Plan[Any]]"
    in_flight: int


class Begin(NamedTuple):
    """Run a plan in the background until it ends or the client is closed."""

    plan: "Plan[None]"


Command: TypeAlias = Send | Sleep | Together | Begin
Plan: TypeAlias = Generator[Command, Any, T]


class Parts(NamedTuple, Generic[T]):
    """A result that comes in parts: plans to run, `in_flight` at a time and in order."""

    plans: "Iterator[Plan[list[T]]]"
    in_flight: int


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What plans take from the world.

    Args:
        clock: monotonic seconds.
        rng: of the jitter.
    """

    clock: Callable[[], float] = time.monotonic
    rng: random.Random = random.Random()  # noqa: S311 - not a secret


def once(call: Call, timeout_s: float) -> "Plan[Reply | Failure]":
    """Sends a call once."""
    outcome: Reply | Failure = yield Send(call, timeout_s)
    return outcome


# Waits for capacity: given the call, its refusal and the seconds that Retry-After asks for.
Wait: TypeAlias = Callable[[Call, Failure, float], "Plan[None]"]


def persist(
    call: Call, patience: Patience, timeout_s: float, around: Surroundings, wait: Wait
) -> "Plan[Reply]":
    """Sends a call until it is answered.

    Args:
        call: the call.
        patience: over all attempts.
        timeout_s: of each attempt.
        around: the clock.
        wait: how to wait where there is no worker.

    Raises:
        SIEError: it was refused, or patience is at its end.
    """
    retry = Retry(patience, around.clock(), around.rng)
    while True:
        timeout = min(timeout_s, retry.remaining_s(around.clock()))
        outcome: Reply | Failure = yield Send(call, timeout)
        if isinstance(outcome, Reply):
            return outcome
        delay = retry.after(outcome, around.clock())
        log.info("%s: trying again in %.1f s", outcome.message, delay, extra=_fields(call))
        if outcome.status == 202:
            yield from wait(call, outcome, delay)
        else:
            yield Sleep(delay)


def _fields(call: Call) -> Mapping[str, Any]:
    return {"rpc": call.rpc.name, "model": call.message.get("model", "")}
