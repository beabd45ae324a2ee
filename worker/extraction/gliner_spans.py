"""Entities of any kind by GLiNER's scores of spans against labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.checkpoint.heads import Output
from worker.extraction.gliner_prompt import GlinerTokenizer
from worker.extraction.probabilities import sigmoid
from worker.extraction.reading import SpanReading, Window
from worker.extraction.settings import ExtractSettings
from worker.extraction.spans import Rules, Span

# As published.
_DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class GlinerReader:
    """Reads texts for spans of the request's labels.

    Attributes:
        tokenizer: the model's.
        settings: the request's.

    """

    tokenizer: GlinerTokenizer
    settings: ExtractSettings
    output: Output = Output.SPAN_LOGITS

    def __post_init__(self) -> None:
        """Raise SieError if there are no labels."""
        self.settings.require_labels()

    @property
    def _rules(self) -> Rules:
        return Rules(self.settings.flat, self.settings.multi_label)

    def read(self, texts: Sequence[str]) -> list[SpanReading]:
        """See Reader.read."""
        read = self.tokenizer.windows(texts, self.settings.labels)
        return [
            SpanReading(text, parts, self._decode, self._rules, wanted=_always)
            for text, parts in zip(texts, read, strict=True)
        ]

    def _decode(self, window: Window, logits: NDArray[np.float32]) -> list[Span]:
        labels, settings = self.settings.labels, self.settings
        threshold = _DEFAULT_THRESHOLD if settings.threshold is None else settings.threshold
        scores = sigmoid(logits[: len(window.offsets), :, : len(labels)])
        return spans(window.offsets, scores, labels, threshold, self._rules)


def spans(
    offsets: NDArray[np.int64],
    scores: NDArray[np.float32],
    labels: Sequence[str],
    threshold: float,
    rules: Rules,
) -> list[Span]:
    """Choose spans, the best first, as long as the rules let them stand with those before.

    Args:
        offsets: (words, 2), characters of each word.
        scores: (words, widths, labels), by first word and number of words less one.
        labels: names of the labels.
        threshold: the least score.
        rules: which spans exclude each other.

    """
    chosen = []
    for run in _standing(_ranked(scores, threshold), len(offsets), flat=rules.flat):
        own = scores[run.first, run.last - run.first]
        best = np.argsort(-own, kind="stable")[: None if rules.multi_label else 1]
        start, end = int(offsets[run.first, 0]), int(offsets[run.last, 1])
        chosen += [
            Span(start, end, labels[label], float(own[label]))
            for label in best
            if own[label] >= threshold
        ]
    return sorted(chosen, key=lambda span: span.start)


class _Run(NamedTuple):
    """Words, both ends included."""

    first: int
    last: int


def _ranked(scores: NDArray[np.float32], threshold: float) -> list[_Run]:
    """Return the runs of words that score enough for any label, the best first."""
    best = scores.max(axis=2)
    first, width = np.nonzero(best >= threshold)
    inside = first + width < len(scores)
    first, width = first[inside], width[inside]
    order = np.argsort(-best[first, width], kind="stable")
    return [_Run(int(first[each]), int(first[each] + width[each])) for each in order]


def _standing(runs: Sequence[_Run], words: int, *, flat: bool) -> Iterator[_Run]:
    """Yield the runs that do not overlap one before them or, if not `flat`, do not cross one.

    Most are told by whether their words are taken, without a look at every run before.
    """
    taken = np.zeros(words, dtype=np.bool_)
    kept: list[_Run] = []
    for run in runs:
        part = slice(run.first, run.last + 1)
        if taken[part].any() and (flat or any(_cross(run, other) for other in kept)):
            continue
        taken[part] = True
        kept.append(run)
        yield run


def _cross(one: _Run, other: _Run) -> bool:
    """Whether two runs share words, and neither has all of the other's."""
    left, right = sorted((one, other))
    return left.first < right.first <= left.last < right.last


def _always(_: Span) -> bool:
    return True
