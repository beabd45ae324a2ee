"""What a reply is worth: the very vectors of its texts, or one typed error, or a fault of ours."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from tests.asking import HttpReply
from tests.e2e.golden_models import MINILM

TEXTS = json.loads((MINILM / "texts.json").read_bytes())
REFERENCE = np.load(MINILM / "reference.npy")
TOLERANCE = 1e-5
RETRYABLE = {202, 429, 503, 504}
_DEAD = "DELIVERY_EXHAUSTED"


class Verdict(StrEnum):
    """How a request ended."""

    RIGHT = "right"
    RETRYABLE = "retryable"  # a typed error that says when to try again
    REFUSED = "refused"  # no connection to the gateway, so nothing was sent
    BROKEN = "broken"  # the connection to the gateway broke
    WRONG = "wrong"  # another vector than its texts have, or another kind of reply
    HUNG = "hung"  # no answer within its deadline


@dataclass(frozen=True)
class Ending:
    """How one request ended.

    Args:
        verdict: what it is worth.
        note: why it is not right.
        answered: items with their result.
        dead: items that were given up as dead letters.
    """

    verdict: Verdict
    note: str = ""
    answered: int = 0
    dead: int = 0


def body_of(indices: Sequence[int]) -> dict[str, Any]:
    """A request for these texts, of which some may come twice."""
    return {"items": [{"id": f"{n}:{k}", "text": TEXTS[k]} for n, k in enumerate(indices)]}


def judge(reply: HttpReply, indices: Sequence[int]) -> Ending:
    """What a reply to `body_of(indices)` is worth."""
    try:
        found = reply.json()
        if reply.status != 200:
            return _judge_error(reply.status, found["error"])
        return _judge_items(found["items"], indices)
    except (ValueError, KeyError, TypeError) as error:
        return Ending(Verdict.WRONG, f"{reply.status} {error!r} {reply.body[:200]!r}")


def _judge_error(status: int, error: dict[str, Any]) -> Ending:
    is_fine = status in RETRYABLE and error["retry_after_s"] > 0
    note = f"{status} {error['code']}"
    return Ending(Verdict.RETRYABLE if is_fine else Verdict.WRONG, note)


def _judge_items(items: Sequence[dict[str, Any]], indices: Sequence[int]) -> Ending:
    if [item["id"] for item in items] != [f"{n}:{k}" for n, k in enumerate(indices)]:
        return Ending(Verdict.WRONG, "other items than were sent")
    good = [n for n, item in enumerate(items) if "error" not in item]
    vectors = np.array([items[n]["dense"]["values"] for n in good], dtype=np.float32)
    wanted = REFERENCE[[indices[n] for n in good]]
    if good and (vectors.shape != wanted.shape or np.abs(vectors - wanted).max() > TOLERANCE):
        return Ending(Verdict.WRONG, "other vectors than these texts have")
    failed = [item["error"] for item in items if "error" in item]
    if not failed:
        return Ending(Verdict.RIGHT, answered=len(good))
    is_fine = all(error.get("retry_after_s", 0) > 0 for error in failed)
    dead = sum(error["code"] == _DEAD for error in failed)
    verdict = Verdict.RETRYABLE if is_fine else Verdict.WRONG
    return Ending(verdict, f"200, of its items {failed[0]['code']}", len(good), dead)
