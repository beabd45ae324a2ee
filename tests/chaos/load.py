"""Load that checks what it gets: each vector is compared with the one its text must have."""

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from tests.asking import ENCODE, ask
from tests.chaos.verdicts import TEXTS, Ending, Verdict, body_of, judge
from tests.waiting import until

# Long texts would spend the time on computing rather than on faults.
_SHORT = [index for index, text in enumerate(TEXTS) if 0 < len(text) < 320]
_FEW_TEXTS = 6
# More than a chunk holds.
_MANY_TEXTS = 40
_MANY_SHARE = 0.05
# How late an answer may come on a machine that is busy with other things.
_LATE_S = 10.0
_PAUSE_S = 0.05


class Load:
    """Clients that send one request after another until the block ends.

    Args:
        addresses: gateways, taken in turns.
        seed: decides which texts are sent.
        clients: how many send at a time.
        timeout_s: each request's deadline.
        rest_s: how long each client waits after each reply.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        seed: int,
        *,
        clients: int = 6,
        timeout_s: float = 15.0,
        rest_s: float = 0.0,
    ) -> None:
        self.counts: Counter[Verdict] = Counter()
        self.notes: Counter[str] = Counter()
        self.answered_items = 0
        self.dead_items = 0
        self.slowest_s = 0.0
        self._addresses = addresses
        self._timeout_s = timeout_s
        self._rest_s = rest_s
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
        until(lambda: self.counts[Verdict.RIGHT] >= wanted, seconds, f"{more} right results")

    def _client(self, number: int, texts: random.Random) -> None:
        turn = number
        while not self._stop.is_set():
            is_many = texts.random() < _MANY_SHARE
            indices = texts.choices(
                _SHORT, k=_MANY_TEXTS if is_many else texts.randint(1, _FEW_TEXTS)
            )
            started = time.monotonic()
            ending = self._ask(self._addresses[turn % len(self._addresses)], indices)
            self._note(ending, time.monotonic() - started)
            self._stop.wait(self._rest_s if ending.verdict is Verdict.RIGHT else _PAUSE_S)
            turn += 1

    def _note(self, ending: Ending, seconds: float) -> None:
        with self._lock:
            self.counts[ending.verdict] += 1
            self.answered_items += ending.answered
            self.dead_items += ending.dead
            self.slowest_s = max(self.slowest_s, seconds)
            if ending.note:
                self.notes[ending.note] += 1

    def _ask(self, address: str, indices: list[int]) -> Ending:
        headers = {"x-request-timeout": str(self._timeout_s)}
        longest, started = self._timeout_s + _LATE_S, time.monotonic()
        try:
            reply = ask(address, "POST", ENCODE, body_of(indices), headers, timeout=longest)
        except TimeoutError:
            return Ending(Verdict.HUNG, f"nothing after {longest:g} s")
        except ConnectionRefusedError:
            return Ending(Verdict.REFUSED, "connection refused")
        except (OSError, http.client.HTTPException) as error:
            return Ending(Verdict.BROKEN, type(error).__name__)
        if time.monotonic() - started > longest:
            return Ending(Verdict.HUNG, f"{reply.status} after more than {longest:g} s")
        return judge(reply, indices)
