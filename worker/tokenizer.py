"""Texts to token ids, with the Rust `tokenizers` library reading tokenizer.json.

Truncation and padding found in tokenizer.json are those of somebody's last call, not of the
model, so both are replaced: the checkpoint's maximum length, and no padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, normalizers
from tokenizers import Tokenizer as RustTokenizer

from worker.checkpoint import Checkpoint
from worker.vocabulary import read_tokenizer

# Texts are some 4 characters a token; a longer prefix than this is rarely needed to fill
# max_length twice, and a whole book is then never tokenised for its first page.
_PREFIX_CHARACTERS_PER_TOKEN = 16


@dataclass(frozen=True, slots=True, eq=False)
class TokenizedText:
    """What the model sees of one text.

    Attributes:
        ids: (input_tokens,) int32, special tokens included.
        truncated: whether the text was cut to the model's maximum length.

    """

    ids: NDArray[np.int32]
    truncated: bool

    @property
    def input_tokens(self) -> int:
        return len(self.ids)


class Tokenizer:
    """Encodes batches of texts in native threads with the GIL released; safe to share."""

    def __init__(self, rust: RustTokenizer, *, max_length: int, lower_case: bool) -> None:
        rust.enable_truncation(max_length)
        rust.no_padding()
        if lower_case:
            # As a normaliser it leaves special tokens written in a text alone.
            given = [rust.normalizer] if rust.normalizer else []
            rust.normalizer = normalizers.Sequence([normalizers.Lowercase(), *given])
        self._rust = rust
        self._max_length = max_length

    @classmethod
    def open(cls, checkpoint: Checkpoint) -> Tokenizer:
        """Raise CheckpointError if tokenizer.json is missing or cannot be read."""
        rust = read_tokenizer(checkpoint.tokenizer_path)
        return cls(rust, max_length=checkpoint.max_length, lower_case=checkpoint.do_lower_case)

    def encode(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Tokenise texts, in order; each result holds at most max_length tokens."""
        limit = self._max_length * _PREFIX_CHARACTERS_PER_TOKEN
        encodings = self._rust.encode_batch_fast([_prefix(text, limit) for text in texts])
        return [
            self._result(text, encoding, limit)
            for text, encoding in zip(texts, encodings, strict=True)
        ]

    def _result(self, text: str, encoding: Encoding, limit: int) -> TokenizedText:
        # Without spaces between words the cut can still change tokens next to it, so a prefix
        # counts only where a further max_length of tokens lies between the input and the cut.
        while len(text) > limit and len(_overflow(encoding)) < 2:
            limit *= 4
            encoding = self._rust.encode_batch_fast([_prefix(text, limit)])[0]
        ids = np.array(encoding.ids, dtype=np.int32)
        full = len(ids) >= self._max_length
        return TokenizedText(ids, truncated=full and bool(_overflow(encoding)))


def _prefix(text: str, limit: int) -> str:
    """Return the whole words among the first `limit` characters, or all of a shorter text."""
    if len(text) <= limit:
        return text
    # Half a word may become quite other tokens: WordPiece has one token for an overlong word.
    return next(iter(text[:limit].rsplit(maxsplit=1)), "")


def _overflow(encoding: Encoding) -> list[Encoding]:
    """Return the pieces that truncation cut off, each as long as the model's input."""
    pieces: list[Encoding] = encoding.overflowing
    return pieces
