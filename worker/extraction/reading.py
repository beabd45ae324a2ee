"""What an extracting model does with one item: into the engine, and out of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sie.inference.v1.result_pb2 import ExtractResult
from worker.checkpoint.heads import Output
from worker.extraction.spans import Rules, Span, trimmed
from worker.extraction.windows import Found, merged
from worker.texts.tokenizer import TokenizedText


class Reading(Protocol):
    """One item's text while it is read."""

    @property
    def inputs(self) -> Sequence[TokenizedText]:
        """What the engine computes for it; none where there is nothing to read."""

    def take(self, index: int, logits: NDArray[np.float32]) -> None:
        """Take the engine's answer to an input, one row that may have padding at its ends."""

    def write(self, result: ExtractResult) -> None:
        """Fill in what was found, once every input has been answered."""


class Refused(NamedTuple):
    """A text that is not read.

    Attributes:
        problem: what is wrong with it.

    """

    problem: str


class Reader(Protocol):
    """How a model reads the items of one request."""

    @property
    def output(self) -> Output:
        """The engine's output that is read."""

    def read(self, texts: Sequence[str]) -> Sequence[Reading | Refused]:
        """Prepare texts, in order."""


class Window(NamedTuple):
    """A part of a text that is one input of the engine.

    Attributes:
        tokens: the input.
        offsets: (units, 2) int64, first character and one past the last of each of its words or
            tokens.
        begins_word: (units,) bool, which units do not continue the word before.

    """

    tokens: TokenizedText
    offsets: NDArray[np.int64]
    begins_word: NDArray[np.bool_]


class SpanReading:
    """A text read for spans, in windows.

    Args:
        text: the text.
        windows: its parts.
        decode: turns a window and its logits into the spans found there.
        rules: which spans exclude each other.
        wanted: which spans are given.

    """

    def __init__(
        self,
        text: str,
        windows: Sequence[Window],
        decode: Callable[[Window, NDArray[np.float32]], list[Span]],
        rules: Rules,
        wanted: Callable[[Span], bool],
    ) -> None:
        self._text = text
        self._windows = windows
        self._decode = decode
        self._rules = rules
        self._wanted = wanted
        self._found: dict[int, Found] = {}

    @property
    def inputs(self) -> Sequence[TokenizedText]:
        """See Reading.inputs."""
        return [window.tokens for window in self._windows]

    def take(self, index: int, logits: NDArray[np.float32]) -> None:
        """See Reading.take."""
        window = self._windows[index]
        start, end = int(window.offsets[0, 0]), int(window.offsets[-1, 1])
        self._found[index] = Found(start, end, self._decode(window, logits))

    def write(self, result: ExtractResult) -> None:
        """See Reading.write."""
        found = [self._found[index] for index in range(len(self._windows))]
        for span in filter(self._wanted, merged(found, self._rules)):
            start, end, label, score = trimmed(span, self._text)
            words = self._text[start:end]
            result.entities.add(text=words, label=label, score=score, start=start, end=end)
