"""Named entities by a class for each token (B-PER, I-PER, O ...).

Groups are made as the token classification of `transformers` makes them: neighbours of one kind
belong together until one begins anew (B-), their score is the mean.

aggregation    what is grouped, and how it gets its class
simple         tokens, each its own
first          words, by their first token
average        words, by the mean of their tokens' probabilities
max            words, by the token that is most certain
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from worker.extraction.classes import require_known
from worker.extraction.probabilities import softmax
from worker.extraction.reading import SpanReading, Window
from worker.extraction.settings import ExtractSettings
from worker.extraction.spans import Rules, Span
from worker.extraction.windows import windows
from worker.heads import Output
from worker.tokenizer import TokenizedText, Tokenizer
from worker.whole_texts import Pieces

_OUTSIDE = "O"


class Aggregation(StrEnum):
    """Which units are grouped, and how they get their class."""

    SIMPLE = "simple"
    FIRST = "first"
    AVERAGE = "average"
    MAX = "max"


@dataclass(frozen=True, slots=True)
class TokenClassReader:
    """Reads texts for the entities of a model with classes of its own.

    Attributes:
        tokenizer: the model's.
        max_length: the longest input, in tokens.
        classes: what the logits stand for.
        settings: the request's.

    """

    tokenizer: Tokenizer
    max_length: int
    classes: tuple[str, ...]
    settings: ExtractSettings
    output: Output = Output.TOKEN_LOGITS

    def __post_init__(self) -> None:
        """Raise SieError if a label is asked for that the model does not know."""
        known = sorted({_kind(name) for name in self.classes} - {_OUTSIDE})
        require_known(self.settings.labels, known)

    def read(self, texts: Sequence[str]) -> list[SpanReading]:
        """See Reader.read."""
        return [
            SpanReading(text, self._windows(pieces), self._decode, Rules(), self._wanted)
            for text, pieces in zip(texts, self.tokenizer.whole.encode(texts), strict=True)
        ]

    def _windows(self, pieces: Pieces) -> list[Window]:
        frame = self.tokenizer.whole
        room = self.max_length - len(frame.prefix) - len(frame.suffix)
        parts = windows(np.ones(len(pieces.ids), dtype=np.int64), room)
        return [self._window(pieces, slice(part.start, part.stop)) for part in parts]

    def _window(self, pieces: Pieces, part: slice) -> Window:
        ids = self.tokenizer.whole.framed(pieces.ids[part])
        tokens = TokenizedText(ids, truncated=False)
        return Window(tokens, pieces.offsets[part], pieces.begins_word[part])

    def _decode(self, window: Window, logits: NDArray[np.float32]) -> list[Span]:
        first = len(self.tokenizer.whole.prefix)
        probabilities = softmax(logits[first : first + len(window.offsets)])
        return entities(window, probabilities, self.classes, self.settings.aggregation)

    def _wanted(self, span: Span) -> bool:
        labels = self.settings.labels
        threshold = self.settings.threshold or 0.0
        return span.score >= threshold and (not labels or span.label in labels)


def entities(
    window: Window,
    probabilities: NDArray[np.float32],
    classes: Sequence[str],
    aggregation: str = Aggregation.SIMPLE,
) -> list[Span]:
    """Group the units of a window.

    Args:
        window: where its tokens stand in the text.
        probabilities: (tokens, classes).
        classes: names of the classes.
        aggregation: an Aggregation.

    """
    if aggregation == Aggregation.SIMPLE:
        units = [slice(token, token + 1) for token in range(len(probabilities))]
    else:
        units = list(_words(window.begins_word))
    chosen = [_chosen(probabilities[unit], aggregation) for unit in units]
    names = [classes[number] for number, _ in chosen]
    spans = []
    for group in _groups(names):
        kind = _kind(names[group.start])
        if kind != _OUTSIDE:
            tokens = slice(units[group.start].start, units[group.stop - 1].stop)
            start, end = window.offsets[tokens][0, 0], window.offsets[tokens][-1, 1]
            score = float(np.mean([chosen[unit][1] for unit in group]))
            spans.append(Span(int(start), int(end), kind, score))
    return spans


def _words(begins: NDArray[np.bool_]) -> Iterator[slice]:
    starts = [0, *(place for place in range(1, len(begins)) if begins[place])]
    return map(slice, starts, [*starts[1:], len(begins)])


def _chosen(unit: NDArray[np.float32], aggregation: str) -> tuple[int, float]:
    """Return class and probability of a unit, from those of its tokens (tokens, classes)."""
    match aggregation:
        case Aggregation.AVERAGE:
            scores = unit.mean(axis=0)
        case Aggregation.MAX:
            scores = unit[unit.max(axis=1).argmax()]
        case _:
            scores = unit[0]
    best = int(scores.argmax())
    return best, float(scores[best])


def _groups(names: Sequence[str]) -> Iterator[range]:
    first = 0
    for place in range(1, len(names) + 1):
        ends = place == len(names) or names[place].startswith("B-")
        if ends or _kind(names[place]) != _kind(names[first]):
            yield range(first, place)
            first = place


def _kind(name: str) -> str:
    """Return what a class is of: `B-PER` and `I-PER` are of PER."""
    return name[2:] if name.startswith(("B-", "I-")) else name
