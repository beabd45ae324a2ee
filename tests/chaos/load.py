"""Load that checks what it gets: each vector is compared with the one its text must have."""

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from enum import StrEnum
from typing import Self

import numpy as np

from tests.e2e.conftest import ENCODE, GOLDEN, HttpReply, ask

TEXTS = json.loads((GOLDEN / "texts.json").read_bytes())
REFERENCE = np.load(GOLDEN / "reference.npy")
TOLERANCE = 1e-5
RETRYABLE = {202, 429, 503, 504}
# Long texts would spend the time on computing rather than on faults.
_SHORT = [index for index, text in enumerate(TEXTS) if 0 < len(text) < 320]
_MOST_TEXTS = 6
# How late an answer may come on a machine that is busy with other things.
_LATE_S = 3.0
_PAUSE_S = 0.05


class Verdict(StrEnum):
    """How a request ended."""

    RIGHT = "right"
    RETRYABLE = "retryable"  # one typed error that says when to try again
    BROKEN = "broken"  # the connection to the gateway broke
    WRONG = "wrong"  # another vector than its texts have, or another kind of reply
    HUNG = "hung"  # no answer within its deadline


class Load:
    """Clients that send one request after another until the block ends.

    Args:
        addresses: gateways, taken in turns.
        seed: decides which texts are sent.
        clients: how many send at a time.
        timeout_s: each request's deadline.
    """

    def __init__(
        self, addresses: Sequence[str], seed: int, clients: int = 6, timeout_s: float = 15.0
    ) -> None:
        self.counts: Counter[Verdict] = Counter()
        self.right_items = 0
        self.notes: list[str] = []
        self._addresses = addresses
        self._timeout_s = timeout_s
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(clients)
        self._randoms = [random.Random(f"{seed}/{number}") for number in range(clients)]
        self._clients: list[Future[None]] = []

    def __enter__(self) -> Self:
        self._clients = [
            self._pool.submit(self._client, number, texts)
            for number, texts in enumerate(self._randoms)
        ]
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown()
        for client in self._clients:
            client.result()

    @property
    def sent(self) -> int:
        """Requests that have ended."""
        return self.counts.total()

    def wait_for_right(self, more: int, seconds: float = 60.0) -> None:
        """Return when `more` requests have got their right result from here on."""
        wanted = self.counts[Verdict.RIGHT] + more
        until(lambda: self.counts[Verdict.RIGHT] >= wanted, seconds)

    def _client(self, number: int, texts: random.Random) -> None:
        turn = number
        while not self._stop.is_set():
            indices = texts.sample(_SHORT, texts.randint(1, _MOST_TEXTS))
            address = self._addresses[turn % len(self._addresses)]
            verdict, note = self._ask(address, indices)
            with self._lock:
                self.counts[verdict] += 1
                self.right_items += len(indices) if verdict is Verdict.RIGHT else 0
                if note:
                    self.notes.append(f"{verdict}: {note}")
            if verdict is not Verdict.RIGHT:
                self._stop.wait(_PAUSE_S)
            turn += 1

    def _ask(self, address: str, indices: list[int]) -> tuple[Verdict, str]:
        body = {"items": [{"id": str(index), "text": TEXTS[index]} for index in indices]}
        headers = {"x-request-timeout": str(self._timeout_s)}
        started = time.monotonic()
        try:
            reply = ask(address, "POST", ENCODE, body, headers, timeout=self._timeout_s + _LATE_S)
        except TimeoutError:
            return Verdict.HUNG, f"nothing from {address} after {self._timeout_s + _LATE_S:g} s"
        except (OSError, http.client.HTTPException) as error:
            return Verdict.BROKEN, type(error).__name__
        took = time.monotonic() - started
        if took > self._timeout_s + _LATE_S:
            return Verdict.HUNG, f"{reply.status} after {took:.1f} s"
        return judge(reply, indices)


def judge(reply: HttpReply, indices: Sequence[int]) -> tuple[Verdict, str]:
    """What a reply to these texts is worth, and why, where it is not the right one."""
    try:
        found = reply.json()
        if reply.status != 200:
            reason, retry_after_s = found["error"]["code"], found["error"]["retry_after_s"]
            is_fine = reply.status in RETRYABLE and retry_after_s > 0
            return (Verdict.RETRYABLE if is_fine else Verdict.WRONG), f"{reply.status} {reason}"
        items = found["items"]
        if failed := [item["error"] for item in items if "error" in item]:
            is_fine = all(error.get("retry_after_s", 0) > 0 for error in failed)
            return (Verdict.RETRYABLE if is_fine else Verdict.WRONG), str(failed[0])
        if [item["id"] for item in items] != [str(index) for index in indices]:
            return Verdict.WRONG, "other items than were sent"
        vectors = np.array([item["dense"]["values"] for item in items], dtype=np.float32)
    except (ValueError, KeyError, TypeError) as error:
        return Verdict.WRONG, f"{reply.status} {error!r} {reply.body[:200]!r}"
    if vectors.shape != REFERENCE[indices].shape:
        return Verdict.WRONG, f"vectors of shape {vectors.shape}"
    worst = float(np.abs(vectors - REFERENCE[indices]).max())
    return (Verdict.RIGHT, "") if worst <= TOLERANCE else (Verdict.WRONG, f"off by {worst:.2g}")


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Return when the condition holds.

    Raises:
        AssertionError: it does not hold after `seconds` seconds.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
