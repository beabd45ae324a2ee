"""Score: what scoring pairs and comparing vectors have in common."""

from __future__ import annotations

import math
from typing import NamedTuple

from servicekit.errors import SieError, invalid, proto_of
from servicekit.profiles import resolve
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1.inference_service_pb2 import ScoreRequest, ScoreResponse, Truncate
from sie.inference.v1.result_pb2 import ScoreEntry, ScoreKind
from sie.registry.v1.model_pb2 import Model
from worker.checkpoint.heads import Output
from worker.hosting.loading import LoadedModel
from worker.images.vision import size_of
from worker.queue.delivery import Delivery
from worker.verbs.answers import Answers


class Read(NamedTuple):
    """What the model read for a pair."""

    tokens: int
    truncated: bool


class ScoreJob:
    """One Score work item while it is computed; subclasses prepare inputs and take rows in.

    Args:
        delivery: the work item.
        model: its model's definition.
        loaded: its model.
        output: the engine's output that scores are made from.
        kind: what the scores measure.

    """

    def __init__(
        self,
        delivery: Delivery,
        model: Model,
        loaded: LoadedModel,
        output: Output,
        kind: ScoreKind,
    ) -> None:
        self.delivery = delivery
        self.outputs = frozenset({output})
        self._output = output
        self._kind = kind
        self._loaded = loaded
        self._request: ScoreRequest = delivery.item.score
        self._items = self._request.items
        self._profile = resolve(model, self._request.profile)
        self._truncate = self._request.truncate or self._profile.truncate
        self._answers = Answers(delivery, "score", len(self._items))

    @property
    def size(self) -> int:
        """How much there is to prepare; a number takes as long as a character."""
        given = [self._request.query, *self._items]
        return sum(size_of(item) + len(item.multivector.values) for item in given)

    @property
    def done(self) -> bool:
        """Whether every item has a score or an error."""
        return self._answers.done

    @property
    def keep_end(self) -> bool:
        """Whether what is too long is cut at its beginning."""
        return self._truncate == Truncate.TRUNCATE_LEFT

    def refused(self, read: Read) -> bool:
        """Whether something was cut that must not be."""
        return read.truncated and self._truncate == Truncate.TRUNCATE_NONE

    def position(self, index: int) -> int:
        """Return an item's position in the whole request."""
        return self.delivery.item.first_item + index

    def set_score(self, index: int, score: float, read: Read) -> None:
        """Set the score of one item."""
        if not math.isfinite(score):
            self.set_error(index, _not_finite())
            return
        entry = ScoreEntry(
            index=self.position(index),
            score=score,
            input_tokens=read.tokens,
            truncated=read.truncated,
        )
        self._answers.set(index, self._fragment(entry))

    def set_error(self, index: int, error: SieError) -> None:
        """Set the error of one item; the others keep their scores."""
        entry = ScoreEntry(index=self.position(index), error=proto_of(error))
        self._answers.fail(index, error, self._fragment(entry))

    async def finish(self) -> None:
        """Reply and acknowledge."""
        await self._answers.finish()

    def _fragment(self, entry: ScoreEntry) -> bytes:
        return ScoreResponse(scores=[entry], kind=self._kind).SerializeToString()


def too_long(field: str, limit: int) -> SieError:
    return invalid(field, f"longer than the {limit} tokens that the model reads")


def _not_finite() -> SieError:
    return SieError(
        ErrorReason.ERROR_REASON_INFERENCE_ERROR, "the model's answer to this item is no number"
    )
