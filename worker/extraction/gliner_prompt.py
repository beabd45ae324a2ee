"""How GLiNER reads a text: labels first, then the words.

[CLS] <<ENT>> person <<ENT>> place <<SEP>> Marie Cu rie was ... [SEP]
marks     -1             -2                  1   2       3
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer as RustTokenizer

from servicekit.errors import invalid
from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.config import Config
from worker.extraction.reading import Window
from worker.extraction.windows import LEAST_SHARE, windows
from worker.texts.tokenizer import TokenizedText, Tokenizer
from worker.texts.whole_texts import WordPieces

# As published; what is no word and no space is a word of one character.
_WORD = re.compile(r"\w+(?:[-_]\w+)*|\S")

_CANARY_LABELS = ("entity",)


@dataclass(frozen=True, slots=True)
class PromptSettings:
    """What gliner_config.json says about reading.

    Attributes:
        label_token: stands before each label.
        end_token: stands behind the last.
        max_words: the most words that the model has learned to read at once.
        marks_token: whether a label is judged by the vector of `label_token`; otherwise by that of
            its own first token.

    """

    label_token: str
    end_token: str
    max_words: int
    marks_token: bool

    @classmethod
    def read(cls, config: Config) -> PromptSettings:
        """Raise CheckpointError if an entry is missing or malformed."""
        return cls(
            label_token=config.text("ent_token", default="<<ENT>>"),
            end_token=config.text("sep_token", default="<<SEP>>"),
            max_words=config.integer("max_len"),
            marks_token=config.flag("embed_ent_token", default=True),
        )

    def prompt(self, labels: Sequence[str]) -> list[str]:
        words = [word for label in labels for word in (self.label_token, label)]
        return [*words, self.end_token]


class _Prompt(NamedTuple):
    """The beginning of every input: (tokens,) int32 each, special tokens included."""

    ids: NDArray[np.int32]
    marks: NDArray[np.int32]


class GlinerTokenizer(Tokenizer):
    """Reads texts beside labels."""

    def __init__(self, rust: RustTokenizer, checkpoint: Checkpoint) -> None:
        """Raise CheckpointError if the settings are missing or malformed."""
        super().__init__(rust, max_length=checkpoint.max_length)
        self._settings = PromptSettings.read(checkpoint.config)
        self._max_tokens = checkpoint.max_length

    def encode(
        self, texts: Sequence[str], *, is_query: bool = False, keep_end: bool = False
    ) -> list[TokenizedText]:
        """Read texts beside a label of no request, each to its first window: for trial runs."""
        return [parts[0].tokens for parts in self.windows(texts, _CANARY_LABELS)]

    def windows(self, texts: Sequence[str], labels: Sequence[str]) -> list[list[Window]]:
        """Divide texts into inputs, in order; a text without words has none.

        Raises:
            SieError: the labels leave too little room for words.

        """
        opening = self._settings.prompt(labels)
        spans = [[match.span() for match in _WORD.finditer(text)] for text in texts]
        words = [
            [*opening, *(text[start:end] for start, end in found)]
            for text, found in zip(texts, spans, strict=True)
        ]
        return [
            self._windows(_offsets(found), pieces, len(opening))
            for found, pieces in zip(spans, self.whole.encode_words(words), strict=True)
        ]

    def _windows(
        self, offsets: NDArray[np.int64], pieces: WordPieces, opening: int
    ) -> list[Window]:
        prompt = self._prompt(pieces, opening)
        room = self._max_tokens - len(prompt.ids) - len(self.whole.suffix)
        if room < self._max_tokens * LEAST_SHARE:
            taken = f"take {len(prompt.ids)} of {self._max_tokens} tokens that the model reads"
            raise invalid("params.labels", f"together the labels {taken}")
        starts = pieces.starts[opening:]
        return [
            self._window(
                prompt,
                pieces.ids,
                starts[part.start : part.stop + 1],
                room,
                offsets[part.start : part.stop],
            )
            for part in windows(np.diff(starts), room, self._settings.max_words)
        ]

    def _prompt(self, pieces: WordPieces, opening: int) -> _Prompt:
        ids = np.concatenate([self.whole.prefix, pieces.ids[: pieces.starts[opening]]])
        labels = opening // 2
        first = pieces.starts[(0 if self._settings.marks_token else 1) : 2 * labels : 2]
        marks = np.zeros_like(ids)
        marks[len(self.whole.prefix) + first] = -np.arange(1, labels + 1)
        return _Prompt(ids, marks)

    def _window(
        self,
        prompt: _Prompt,
        ids: NDArray[np.int32],
        starts: NDArray[np.int64],
        room: int,
        offsets: NDArray[np.int64],
    ) -> Window:
        """Make an input of the words that begin at `starts`, whose last entry is their end."""
        own = ids[starts[0] : starts[-1]]
        marks = np.zeros_like(own)
        begun = np.diff(starts) > 0
        marks[starts[:-1][begun] - starts[0]] = np.arange(1, len(starts))[begun]
        # Only a word longer than a whole input is cut, and its first token is what counts.
        kept, suffix = slice(room), self.whole.suffix
        tokens = TokenizedText(
            np.concatenate([prompt.ids, own[kept], suffix]),
            truncated=len(own) > room,
            marks=np.concatenate([prompt.marks, marks[kept], np.zeros_like(suffix)]),
        )
        return Window(tokens, offsets, np.ones(len(offsets), dtype=np.bool_))


def _offsets(spans: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    # A generator, since numpy lets nobody else run while it reads a list.
    places = (place for span in spans for place in span)
    return np.fromiter(places, np.int64, 2 * len(spans)).reshape(-1, 2)
