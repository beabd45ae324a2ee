"""Spans of a text that carry a label, and which of them can stand side by side."""

from __future__ import annotations

from typing import NamedTuple


class Span(NamedTuple):
    """A labelled span.

    Attributes:
        start: its first character, in Unicode code points.
        end: one past its last character.
        label: what it is.
        score: confidence in [0, 1].

    """

    start: int
    end: int
    label: str
    score: float

    def overlaps(self, other: Span) -> bool:
        return self.start < other.end and other.start < self.end

    def within(self, other: Span) -> bool:
        return other.start <= self.start and self.end <= other.end


class Rules(NamedTuple):
    """Which spans of one text exclude each other.

    Attributes:
        flat: whether no span may lie within another.
        multi_label: whether a span may have several labels.

    """

    flat: bool = True
    multi_label: bool = False

    def exclude(self, one: Span, other: Span) -> bool:
        """Whether only one of two spans can stand."""
        if one[:2] == other[:2]:
            return not self.multi_label or one.label == other.label
        if not one.overlaps(other):
            return False
        return self.flat or not (one.within(other) or other.within(one))


def trimmed(span: Span, text: str) -> Span:
    """Leave out white space at both ends: some tokenizers count it to the word behind it."""
    words = text[span.start : span.end]
    start = span.start + len(words) - len(words.lstrip())
    return span._replace(start=start, end=start + len(words.strip()))
