"""Texts to token ids, with the Rust `tokenizers` library reading tokenizer.json.

Truncation and padding found in tokenizer.json are those of somebody's last call, not of the
model, so both are replaced: the checkpoint's maximum length, and no padding.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, normalizers
from tokenizers import Tokenizer as RustTokenizer

from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.vocabulary import read_tokenizer
from worker.texts.whole_texts import WholeTexts

# Texts are some 4 characters a token; a longer piece than this is rarely needed to fill
# max_length twice, and a whole book is then never tokenised for its first page.
_CHARACTERS_PER_TOKEN = 16
# A word of more characters is cut like a text: no language has it, and pairs of bytes of one of
# megabytes would be merged for seconds, while others wait.
_LONG_WORD = 64 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class TokenizedText:
    """What the model sees of one text, or of one pair of texts.

    Attributes:
        ids: (tokens,) int32, special tokens included.
        truncated: whether the text was cut to the model's maximum length.
        type_ids: (tokens,) int32, 0 for the first text of a pair and 1 for the second, where
            the tokenizer tells them apart; None for a single text.
        unattended: tokens at the end that the others do not see.
        kept: (tokens,) bool, whose vectors a multivector has; None for all.
        marks: (tokens,) int32, where words and labels begin, as TokenBatch has it; None for models
            that do not score spans.

    """

    ids: NDArray[np.int32]
    truncated: bool
    type_ids: NDArray[np.int32] | None = None
    unattended: int = 0
    kept: NDArray[np.bool_] | None = None
    marks: NDArray[np.int32] | None = None

    @property
    def input_tokens(self) -> int:
        return len(self.ids)

    @property
    def attended(self) -> int:
        """How many tokens, from the first, are attended to."""
        return len(self.ids) - self.unattended


class Tokenizer:
    """Encodes batches of texts in native threads with the GIL released; safe to share."""

    def __init__(self, rust: RustTokenizer, *, max_length: int) -> None:
        """Take over a tokenizer, which nobody else may use any more."""
        self._rust = rust
        self._max_length = max_length
        self._beginnings = _Truncating(rust, max_length, keep_end=False)

    @classmethod
    def open(cls, checkpoint: Checkpoint) -> Tokenizer:
        """Raise CheckpointError if tokenizer.json is missing or cannot be read."""
        return cls(open_rust(checkpoint), max_length=checkpoint.max_length)

    def token_ids(self, tokens: Iterable[str]) -> list[int]:
        """Return the ids of those tokens that the vocabulary has."""
        ids = (self._rust.token_to_id(token) for token in tokens)
        return [index for index in ids if index is not None]

    def encode(
        self, texts: Sequence[str], *, is_query: bool = False, keep_end: bool = False
    ) -> list[TokenizedText]:
        """Tokenise texts, in order; each result holds at most max_length tokens.

        Args:
            texts: what to tokenise.
            is_query: for models that read queries and documents differently.
            keep_end: cut a text that is too long at its beginning.

        """
        return (self._ends if keep_end else self._beginnings).encode(texts)

    def frame(
        self,
        texts: Sequence[NDArray[np.int32]],
        *,
        is_query: bool = False,
        keep_end: bool = False,
    ) -> list[TokenizedText]:
        """Make the same of texts that come as ids, with the special ones around them or without."""
        whole = self.whole
        room = self._max_length - len(whole.prefix) - len(whole.suffix)
        bare = [whole.bare(ids) for ids in texts]
        kept = [ids[-room:] if keep_end else ids[:room] for ids in bare]
        return [
            TokenizedText(whole.framed(part), truncated=len(part) < len(ids))
            for ids, part in zip(bare, kept, strict=True)
        ]

    def encode_pairs(
        self, pairs: Sequence[tuple[str, str]], *, keep_end: bool = False
    ) -> list[TokenizedText]:
        """Tokenise pairs of texts, in order, each to one input of at most max_length tokens.

        What is too much is taken from the longer text of a pair, until both are as long.
        """
        return (self._ends if keep_end else self._beginnings).encode_pairs(pairs)

    def frame_pair(self, first: NDArray[np.int32], second: NDArray[np.int32]) -> TokenizedText:
        """Make the same of a pair of texts that come as ids, without special ones, and fit."""
        frame = self.whole.pair_frame
        ids, type_ids = frame.ids_of(first, second), frame.types_of(len(first), len(second))
        return TokenizedText(ids, truncated=False, type_ids=type_ids)

    @functools.cached_property
    def whole(self) -> WholeTexts:
        """For texts of any length, without truncation."""
        return WholeTexts(copy_of(self._rust))

    @functools.cached_property
    def _ends(self) -> _Truncating:
        # The library keeps truncation with the tokenizer, not with the call.
        return _Truncating(copy_of(self._rust), self._max_length, keep_end=True)


def open_rust(checkpoint: Checkpoint) -> RustTokenizer:
    """Raise CheckpointError if tokenizer.json is missing or cannot be read."""
    rust = read_tokenizer(checkpoint.tokenizer_path)
    if checkpoint.do_lower_case:
        # As a normaliser it leaves special tokens written in a text alone.
        given = [rust.normalizer] if rust.normalizer else []
        rust.normalizer = normalizers.Sequence([normalizers.Lowercase(), *given])
    return rust


def copy_of(rust: RustTokenizer) -> RustTokenizer:
    return RustTokenizer.from_str(rust.to_str())


class _Truncating:
    """A tokenizer that keeps the beginning, or the end, of what is too long."""

    def __init__(self, rust: RustTokenizer, max_length: int, *, keep_end: bool) -> None:
        self._rust = rust
        self._rust.enable_truncation(max_length, direction="left" if keep_end else "right")
        self._rust.no_padding()
        self._max_length = max_length
        self._limit = max_length * _CHARACTERS_PER_TOKEN
        self._piece = _last_words if keep_end else _first_words

    def encode(self, texts: Sequence[str]) -> list[TokenizedText]:
        pieces = [self._piece(text, self._limit) for text in texts]
        encodings = self._rust.encode_batch_fast(pieces)
        return [self._result(*both) for both in zip(texts, encodings, strict=True)]

    def encode_pairs(self, pairs: Sequence[tuple[str, str]]) -> list[TokenizedText]:
        encodings = self._rust.encode_batch_fast([self._pair(*pair) for pair in pairs])
        return [
            self._tokenized(encoding, np.array(encoding.type_ids, dtype=np.int32))
            for encoding in encodings
        ]

    def _result(self, text: str, encoding: Encoding) -> TokenizedText:
        if self._suffices(text, self._limit, encoding, 0):
            return self._tokenized(encoding, None)
        return self._tokenized(self._encode_enough(text, 0)[1], None)

    def _pair(self, first: str, second: str) -> tuple[str, str]:
        """Replace the longer text by a piece of it, if that makes no difference to the model."""
        if max(len(first), len(second)) <= self._limit:
            return first, second
        if len(first) > len(second):
            return self._longer(first, second), second
        return first, self._longer(second, first)

    def _longer(self, text: str, other: str) -> str:
        # Which of the two has more tokens decides which of them loses an odd one, so the piece
        # must have more than the other if the whole has.
        tokens = _count(self._rust.encode_batch_fast([other])[0])
        return self._encode_enough(text, tokens)[0]

    def _encode_enough(self, text: str, tokens: int) -> tuple[str, Encoding]:
        limit = self._limit
        while True:
            piece = self._piece(text, limit)
            encoding = self._rust.encode_batch_fast([piece])[0]
            if self._suffices(text, limit, encoding, tokens):
                return piece, encoding
            limit *= 4

    def _suffices(self, text: str, limit: int, encoding: Encoding, tokens: int) -> bool:
        # Without spaces between words the cut can still change tokens next to it, so a piece
        # counts only where a further max_length of tokens lies between the input and the cut.
        if len(text) <= limit:
            return True
        return len(_overflow(encoding)) >= 2 and _count(encoding) - self._max_length > tokens

    def _tokenized(self, encoding: Encoding, type_ids: NDArray[np.int32] | None) -> TokenizedText:
        ids = np.array(encoding.ids, dtype=np.int32)
        full = len(ids) >= self._max_length
        return TokenizedText(ids, full and bool(_overflow(encoding)), type_ids)


def _first_words(text: str, limit: int) -> str:
    """Return the first words of at most `limit` characters; a part of a very long one counts."""
    if len(text) <= limit:
        return text
    # Half a word may become quite other tokens: WordPiece has one token for an overlong word.
    head = text[:limit]
    word = "".join(head.rsplit(maxsplit=1)[-1:])
    if len(word) > _LONG_WORD:
        return head
    # White space before the words is kept: some tokenizers have tokens for it.
    return head.removesuffix(word).rstrip()


def _last_words(text: str, limit: int) -> str:
    """Return the last words of at most `limit` characters; a part of a very long one counts."""
    if len(text) <= limit:
        return text
    tail = text[-limit:]
    word = "".join(tail.split(maxsplit=1)[:1])
    if len(word) > _LONG_WORD:
        return tail
    return tail.removeprefix(word).lstrip()


def _count(encoding: Encoding) -> int:
    """Return how many tokens the text has, with the special ones of each piece."""
    return sum(len(piece.ids) for piece in [encoding, *_overflow(encoding)])


def _overflow(encoding: Encoding) -> list[Encoding]:
    """Return the pieces that truncation cut off, each as long as the model's input."""
    pieces: list[Encoding] = encoding.overflowing
    return pieces
