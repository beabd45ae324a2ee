"""Tokens of texts of any length, with the characters they stand for."""

from __future__ import annotations

import collections
import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding
from tokenizers import Tokenizer as RustTokenizer

from worker.texts.text_slices import Pieces, is_long, joined, slices

# So many words of a text are tokenised at once.
_WORDS = 1 << 13

_Part = TypeVar("_Part")


class WordPieces(NamedTuple):
    """All tokens of a list of words.

    Attributes:
        ids: (tokens,) int32.
        starts: (words + 1,) int64, the first token of each word, and one past the last token.

    """

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]


class PairFrame(NamedTuple):
    """Special tokens before, between and behind two texts, with the types of all.

    Attributes:
        ids: (tokens,) int32 of each of the three.
        types: (tokens,) int32 of each of the three.
        text_types: of the two texts' own tokens.

    """

    ids: tuple[NDArray[np.int32], ...]
    types: tuple[NDArray[np.int32], ...]
    text_types: tuple[int, int]

    @property
    def tokens(self) -> int:
        """How many special tokens stand around a pair."""
        return sum(map(len, self.ids))

    def ids_of(self, one: NDArray[np.int32], other: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the ids of a pair, (tokens,) int32."""
        before, between, behind = self.ids
        return np.concatenate([before, one, between, other, behind])

    def types_of(self, one: int, other: int) -> NDArray[np.int32]:
        """Return the types of a pair of texts of so many tokens, (tokens,) int32."""
        before, between, behind = self.types
        first, second = map(_repeated, self.text_types, (one, other))
        return np.concatenate([before, first, between, second, behind])


class WholeTexts:
    """Tokenises without cutting.

    Attributes:
        prefix: special ids that stand before a text, (tokens,) int32.
        suffix: special ids that stand behind it, (tokens,) int32.

    """

    def __init__(self, rust: RustTokenizer) -> None:
        """Take over a tokenizer, which nobody else may use any more."""
        rust.no_truncation()
        rust.no_padding()
        self._rust = rust
        self._continuing: str = getattr(rust.model, "continuing_subword_prefix", None) or ""
        unknown = getattr(rust.model, "unk_token", None)
        self._unknown = rust.token_to_id(unknown) if unknown else None
        framed = rust.encode("a")
        text = [place for place, special in enumerate(framed.special_tokens_mask) if not special]
        self.prefix = np.array(framed.ids[: text[0]], dtype=np.int32)
        self.suffix = np.array(framed.ids[text[-1] + 1 :], dtype=np.int32)

    def encode(self, texts: Sequence[str]) -> list[Pieces]:
        """Tokenise texts, in order."""
        read = self._encoded([slices(text) for text in texts])
        joint = [joined([self._pieces(*both) for both in parts]) for parts in read]
        return [pieces or self._undivided(text) for text, pieces in zip(texts, joint, strict=True)]

    def ids(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """Tokenise texts, in order, to their ids alone, which is faster: (tokens,) int32 each."""
        short = [text for text in texts if not is_long(text)]
        encodings = self._rust.encode_batch_fast(short, add_special_tokens=False)
        read = (np.array(encoding.ids, dtype=np.int32) for encoding in encodings)
        return [self.encode([text])[0].ids if is_long(text) else next(read) for text in texts]

    def encode_words(self, texts: Sequence[Sequence[str]]) -> list[WordPieces]:
        """Tokenise texts that are divided into words already, in order."""
        # Each word is read apart from the others, so a text may be divided behind any.
        divided = [
            [words[first : first + _WORDS] for first in range(0, max(1, len(words)), _WORDS)]
            for words in texts
        ]
        read = self._encoded(divided, is_pretokenized=True)
        return [_by_word((len(words), each) for words, each in parts) for parts in read]

    def framed(self, ids: NDArray[np.int32]) -> NDArray[np.int32]:
        """Put the special ids around those of a text."""
        return np.concatenate([self.prefix, ids, self.suffix])

    @functools.cached_property
    def pair_frame(self) -> PairFrame:
        """What the tokenizer puts around a pair of texts."""
        pair = self._rust.encode("a", "a")
        ids, types = np.array([pair.ids, pair.type_ids], dtype=np.int32)
        texts = pair.sequence_ids
        first, second = texts.index(0), texts.index(1)
        first_end, second_end = first + texts.count(0), second + texts.count(1)
        parts = (slice(first), slice(first_end, second), slice(second_end, None))
        return PairFrame(
            tuple(ids[part] for part in parts),
            tuple(types[part] for part in parts),
            (int(types[first]), int(types[second])),
        )

    def bare(self, ids: NDArray[np.int32]) -> NDArray[np.int32]:
        """Take the special ids away that stand around those of a text, where they do."""
        first, last = len(self.prefix), len(self.suffix)
        if first and np.array_equal(ids[:first], self.prefix):
            ids = ids[first:]
        if last and np.array_equal(ids[-last:], self.suffix):
            ids = ids[:-last]
        return ids

    def encodings(self, texts: Sequence[str], *, special: bool) -> list[Encoding]:
        """Tokenise texts, in order, with the special tokens around each or without."""
        encodings: list[Encoding] = self._rust.encode_batch(texts, add_special_tokens=special)
        return encodings

    def text_of(self, ids: Sequence[int], *, skip_special: bool) -> str:
        """Return the text that token ids stand for, which must be in the vocabulary."""
        # Unlike a single one, a batch is read while others run.
        [text] = self._rust.decode_batch([ids], skip_special_tokens=skip_special)
        return str(text)

    def name_of(self, token_id: int) -> str:
        """Return what the vocabulary calls a token."""
        return self._rust.id_to_token(token_id) or ""

    def is_special(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return for each id whether it stands for a special token."""
        added = self._rust.get_added_tokens_decoder()
        return np.isin(ids, [index for index, token in added.items() if token.special])

    def first_unknown(self, ids: NDArray[np.int64]) -> int | None:
        """Return where the first id stands that the vocabulary has not; None: it has all."""
        known = np.zeros(ids.shape, dtype=np.bool_)
        within = ids < len(self._known)
        known[within] = self._known[ids[within]]
        return None if known.all() else int(np.argmin(known))

    @functools.cached_property
    def _known(self) -> NDArray[np.bool_]:
        vocabulary = self._rust.get_vocab(with_added_tokens=True)
        ids = np.fromiter(vocabulary.values(), np.int64, len(vocabulary))
        known = np.zeros(ids.max() + 1, dtype=np.bool_)
        known[ids] = True
        return known

    def _encoded(
        self, texts: Sequence[Sequence[_Part]], *, is_pretokenized: bool = False
    ) -> Iterator[Iterator[tuple[_Part, Encoding]]]:
        """Yield the parts of each text with what they become, which is freed part by part."""
        parts = list(itertools.chain(*texts))
        encodings = collections.deque(
            self._rust.encode_batch(
                parts, is_pretokenized=is_pretokenized, add_special_tokens=False
            )
        )
        for text in texts:
            yield ((part, encodings.popleft()) for part in text)

    def _undivided(self, text: str) -> Pieces:
        [encoding] = self._rust.encode_batch([text], add_special_tokens=False)
        return self._pieces(text, encoding)

    def _pieces(self, text: str, encoding: Encoding) -> Pieces:
        ids = np.array(encoding.ids, dtype=np.int32)
        offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
        if self._continuing:
            lengths = np.fromiter(map(len, encoding.tokens), np.int64, len(ids))
            begins = lengths == offsets[:, 1] - offsets[:, 0]
        else:
            begins = _behind_space(text, offsets[:, 0])
        if self._unknown is not None:
            begins |= ids == self._unknown
        return Pieces(ids, offsets, begins)


def _repeated(type_id: int, count: int) -> NDArray[np.int32]:
    return np.full(count, type_id, dtype=np.int32)


def _behind_space(text: str, starts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which tokens begin the text, or have a space before them or at their beginning."""
    if not text:
        return np.zeros(len(starts), dtype=np.bool_)
    characters = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    spaces = characters == ord(" ")
    at = np.minimum(starts, len(text) - 1)
    begins: NDArray[np.bool_] = (starts == 0) | spaces[at] | spaces[np.maximum(at - 1, 0)]
    return begins


def _by_word(parts: Iterable[tuple[int, Encoding]]) -> WordPieces:
    """Join what parts of a text became, each of so many words."""
    ids, counts = [], []
    for words, encoding in parts:
        ids.append(np.array(encoding.ids, dtype=np.int32))
        words_of = np.array(encoding.word_ids, dtype=np.int64)
        counts.append(np.bincount(words_of, minlength=words))
    starts = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    return WordPieces(np.concatenate(ids), starts)
