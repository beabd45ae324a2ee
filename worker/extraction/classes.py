"""Classes of whole texts, of a model that has its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from servicekit.errors import invalid
from sie.inference.v1.result_pb2 import ExtractResult
from worker.checkpoint.heads import Output
from worker.extraction.probabilities import sigmoid, softmax
from worker.extraction.settings import ExtractSettings
from worker.texts.tokenizer import TokenizedText, Tokenizer


class ClassReading:
    """A text with a score for each class.

    Args:
        tokens: the text.
        reader: who weighs the answer.

    """

    def __init__(self, tokens: TokenizedText, reader: ClassReader) -> None:
        self.inputs = [tokens]
        self._reader = reader
        self._logits = np.empty(0, dtype=np.float32)

    def take(self, _index: int, logits: NDArray[np.float32]) -> None:
        """See Reading.take."""
        self._logits = logits.copy()

    def write(self, result: ExtractResult) -> None:
        """See Reading.write."""
        reader, settings = self._reader, self._reader.settings
        scores = reader.scores(self._logits)
        shown = reader.wanted(self._logits) if settings.raw_scores else scores
        add_classes(result, reader.labels, scores, settings.threshold, shown)


@dataclass(frozen=True, slots=True)
class ClassReader:
    """Reads texts for the classes of a model that has its own.

    Attributes:
        tokenizer: the model's.
        classes: what the logits stand for.
        settings: the request's.

    """

    tokenizer: Tokenizer
    classes: tuple[str, ...]
    settings: ExtractSettings
    output: Output = Output.LOGITS

    def __post_init__(self) -> None:
        """Raise SieError if a label is asked for that the model does not know."""
        require_known(self.settings.labels, self.classes)

    @property
    def labels(self) -> tuple[str, ...]:
        """What the scores stand for."""
        return self.settings.labels or self.classes

    def read(self, texts: Sequence[str]) -> list[ClassReading]:
        """See Reader.read."""
        return [ClassReading(tokens, self) for tokens in self.tokenizer.encode(texts)]

    def scores(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the shares of the wanted classes, of logits (classes,)."""
        shares = sigmoid(logits) if self.settings.multi_label else softmax(logits)
        return self.wanted(shares)

    def wanted(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return those of the labels, of a value for each class."""
        return values[[self.classes.index(label) for label in self.labels]]


def add_classes(
    result: ExtractResult,
    labels: Sequence[str],
    scores: NDArray[np.float32],
    threshold: float | None,
    shown: NDArray[np.float32] | None = None,
) -> None:
    """Add the labels that score enough to a result, the best first.

    Args:
        result: what they are added to.
        labels: their names.
        scores: (labels,).
        threshold: what scores below it is left out; None for none.
        shown: (labels,), what is given in place of the scores, where that is something else.

    """
    for place in np.argsort(-scores, kind="stable"):
        if scores[place] >= (threshold or 0.0):
            score = float((scores if shown is None else shown)[place])
            result.classifications.add(label=labels[place], score=score)


def require_known(labels: Sequence[str], known: Sequence[str]) -> None:
    """Raise SieError if a label of a request is none of the model's."""
    for index, label in enumerate(labels):
        if label not in known:
            problem = f"the model does not know '{label}'; it knows {', '.join(known)}"
            raise invalid(f"params.labels[{index}]", problem)
