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
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.checkpoint.heads import Output
from worker.extraction.classes import require_known
from worker.extraction.probabilities import softmax
from worker.extraction.reading import SpanReading, Window
from worker.extraction.settings import ExtractSettings
from worker.extraction.spans import Rules, Span
from worker.extraction.windows import windows
from worker.texts.text_slices import Pieces
from worker.texts.tokenizer import TokenizedText, Tokenizer

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
    units = _units(window, probabilities, aggregation)
    kinds = [_kind(name) for name in classes]
    begin = [name.startswith("B-") for name in classes]
    found = []
    for group in _groups(units.classes, kinds, begin):
        kind = kinds[units.classes[group.start]]
        if kind != _OUTSIDE:
            start, end = units.starts[group.start], units.ends[group.stop - 1]
            score = sum(units.scores[group.start : group.stop]) / len(group)
            found.append(Span(start, end, kind, score))
    return found


class _Units(NamedTuple):
    """What is grouped, by parallel lists: characters, class and probability of each."""

    starts: list[int]
    ends: list[int]
    classes: list[int]
    scores: list[float]


def _units(window: Window, probabilities: NDArray[np.float32], aggregation: str) -> _Units:
    starts, ends = window.offsets[:, 0], window.offsets[:, 1]
    if aggregation != Aggregation.SIMPLE:
        words = list(_words(window.begins_word))
        starts = starts[[word.start for word in words]]
        ends = ends[[word.stop - 1 for word in words]]
        probabilities = np.stack([_of_word(probabilities[word], aggregation) for word in words])
    best = probabilities.argmax(axis=1)
    return _Units(starts.tolist(), ends.tolist(), best.tolist(), probabilities.max(axis=1).tolist())


def _words(begins: NDArray[np.bool_]) -> Iterator[slice]:
    starts = [0, *(place for place in range(1, len(begins)) if begins[place])]
    return map(slice, starts, [*starts[1:], len(begins)])


def _of_word(tokens: NDArray[np.float32], aggregation: str) -> NDArray[np.float32]:
    """Return the probabilities of a word (classes,), from those of its tokens."""
    chosen: NDArray[np.float32]
    match aggregation:
        case Aggregation.AVERAGE:
            chosen = tokens.mean(axis=0)
        case Aggregation.MAX:
            chosen = tokens[tokens.max(axis=1).argmax()]
        case _:
            chosen = tokens[0]
    return chosen


def _groups(classes: Sequence[int], kinds: Sequence[str], begin: Sequence[bool]) -> Iterator[range]:
    """Yield runs of units of one kind; one whose class begins anew begins a run."""
    first = 0
    for place in range(1, len(classes) + 1):
        ends = place == len(classes) or begin[classes[place]]
        if ends or kinds[classes[place]] != kinds[classes[first]]:
            yield range(first, place)
            first = place


def _kind(name: str) -> str:
    """Return what a class is of: `B-PER` and `I-PER` are of PER."""
    return name[2:] if name.startswith(("B-", "I-")) else name
