"""How ColBERT (Khattab and Zaharia, 2020) reads queries and documents.

    query     [CLS] [Q] tokens [SEP] [MASK] [MASK] ...   always query_length tokens
    document  [CLS] [D] tokens [SEP]                     vectors of punctuation are dropped

The masks are not attended to, but their vectors count: the model has learned to put there what
else the query could have said. Settings come from artifact.metadata, as ColBERT writes it, from
config_sentence_transformers.json, as PyLate does, or from sentence_bert_config.json and the module
MultiVectorMask, as sentence-transformers does, whose markers are prompts like any other's.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer as RustTokenizer

from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.config import CheckpointError, Config
from worker.checkpoint.heads import AnswerHead, MultivectorHead, Output, SpanHead
from worker.checkpoint.modules import MASK, read_modules
from worker.checkpoint.special_tokens import special_tokens
from worker.extraction.gliner_prompt import GlinerTokenizer
from worker.texts.templates import PromptTokenizer
from worker.texts.tokenizer import TokenizedText, Tokenizer, copy_of, open_rust

# Where a marker stands: after the token that begins every text.
_MARKER_PLACE = 1


@dataclass(frozen=True, slots=True)
class ColbertSettings:
    """What the files say; lengths are in tokens, special tokens included.

    Attributes:
        query_marker: token that marks a query; "" where prompts do.
        document_marker: token that marks a document; "" where prompts do.
        query_length: to which queries are cut and filled.
        document_length: to which documents are cut.
        expand: whether queries are filled with masks.
        mask: the token to fill with; "" for the tokenizer's mask.
        attend: whether those masks are attended to.
        skipped: words whose vectors a document is returned without.

    """

    query_marker: str
    document_marker: str
    query_length: int
    document_length: int
    expand: bool
    attend: bool
    skipped: tuple[str, ...]
    mask: str = ""

    @classmethod
    def read(cls, checkpoint: Checkpoint) -> ColbertSettings:
        """Raise CheckpointError if a file is malformed."""
        for module in read_modules(checkpoint.root):
            if module.kind == MASK:
                return cls._from_mask(checkpoint, module.path)
        pylate = Config.read_optional(checkpoint.root / "config_sentence_transformers.json")
        if "query_length" in pylate.values:
            return cls._from_pylate(pylate)
        config = Config.read_optional(checkpoint.root / "artifact.metadata")
        punctuation = config.flag("mask_punctuation", default=True)
        return cls(
            query_marker=config.text("query_token_id", default="[unused0]"),
            document_marker=config.text("doc_token_id", default="[unused1]"),
            query_length=config.positive("query_maxlen") or 32,
            document_length=config.positive("doc_maxlen") or 220,
            expand=True,
            attend=config.flag("attend_to_mask_tokens", default=False),
            skipped=tuple(string.punctuation) if punctuation else (),
        )

    @classmethod
    def _from_pylate(cls, config: Config) -> ColbertSettings:
        # Punctuation where nothing is said; an empty list skips nothing.
        words = config.values.get("skiplist_words")
        return cls(
            query_marker=config.text("query_prefix", default="[Q] "),
            document_marker=config.text("document_prefix", default="[D] "),
            query_length=config.integer("query_length"),
            document_length=config.integer("document_length"),
            expand=config.flag("do_query_expansion", default=True),
            attend=config.flag("attend_to_expansion_tokens", default=False),
            skipped=tuple(string.punctuation if words is None else words),
        )

    @classmethod
    def _from_mask(cls, checkpoint: Checkpoint, path: str) -> ColbertSettings:
        mask = Config.read_optional(checkpoint.root / path / "config.json")
        if mask.values.get("keep_only_token_ids"):
            raise CheckpointError(mask.path, "keep_only_token_ids is not supported")
        if mask.values.get("skiplist_tasks") not in (None, "document", ["document"]):
            raise CheckpointError(mask.path, "skiplist_tasks other than document is not supported")
        config = Config.read_optional(checkpoint.directory / "sentence_bert_config.json")
        limit, expansion = checkpoint.max_length, config.below("query_expansion")
        strategy = expansion.text("strategy", default="fixed")
        if strategy != "fixed":
            raise CheckpointError(config.path, f"query_expansion {strategy} is not supported")
        length = expansion.positive("length") or config.positive("query_length") or limit
        return cls(
            query_marker="",
            document_marker="",
            query_length=length,
            document_length=config.positive("document_length") or limit,
            expand=bool(expansion.values),
            attend=expansion.flag("attend", default=False),
            skipped=tuple(mask.values.get("skiplist_words") or ()),
            mask=expansion.text("token", default=""),
        )


class ColbertTokenizer(Tokenizer):
    """Marks, fills and cuts as `ColbertSettings` say."""

    def __init__(
        self, rust: RustTokenizer, checkpoint: Checkpoint, settings: ColbertSettings
    ) -> None:
        """Raise CheckpointError if the vocabulary lacks a token that the settings name."""
        limit = checkpoint.max_length
        # One place is left for a marker.
        marked = bool(settings.document_marker)
        super().__init__(rust, max_length=min(limit, settings.document_length) - marked)
        self._query_length = min(limit, settings.query_length)
        marked = bool(settings.query_marker)
        self._queries = Tokenizer(copy_of(rust), max_length=self._query_length - marked)
        self._settings = settings
        self._path = checkpoint.tokenizer_path
        self._query_marker = self._marker(settings.query_marker)
        self._document_marker = self._marker(settings.document_marker)
        mask = settings.mask or special_tokens(checkpoint).get("mask_token", "[MASK]")
        self._mask = self._id(mask) if settings.expand else 0
        self._skipped = np.array(self.token_ids(settings.skipped), dtype=np.int32)

    def encode(
        self, texts: Sequence[str], *, is_query: bool = False, keep_end: bool = False
    ) -> list[TokenizedText]:
        """See Tokenizer.encode."""
        if is_query:
            return [self._query(text) for text in self._queries.encode(texts, keep_end=keep_end)]
        return [self._document(text) for text in super().encode(texts, keep_end=keep_end)]

    def frame(
        self,
        texts: Sequence[NDArray[np.int32]],
        *,
        is_query: bool = False,
        keep_end: bool = False,
    ) -> list[TokenizedText]:
        """See Tokenizer.frame."""
        if is_query:
            return [self._query(text) for text in self._queries.frame(texts, keep_end=keep_end)]
        return [self._document(text) for text in super().frame(texts, keep_end=keep_end)]

    def _query(self, text: TokenizedText) -> TokenizedText:
        ids = np.insert(text.ids, _MARKER_PLACE, self._query_marker)
        missing = self._query_length - len(ids) if self._settings.expand else 0
        masks = np.full(missing, self._mask, dtype=np.int32)
        return replace(
            text,
            ids=np.concatenate([ids, masks]),
            unattended=0 if self._settings.attend else missing,
        )

    def _document(self, text: TokenizedText) -> TokenizedText:
        ids = np.insert(text.ids, _MARKER_PLACE, self._document_marker)
        return replace(text, ids=ids, kept=~np.isin(ids, self._skipped))

    def _marker(self, token: str) -> list[int]:
        return [self._id(token)] if token else []

    def _id(self, token: str) -> int:
        found = self.token_ids([token]) or self.token_ids([token.strip()])
        if not found:
            raise CheckpointError(self._path, f"has no token {token}")
        return found[0]


class BgeM3Tokenizer(Tokenizer):
    """Leaves the first token's vector out, as BGE-M3 (Chen et al., 2024) does."""

    def encode(
        self, texts: Sequence[str], *, is_query: bool = False, keep_end: bool = False
    ) -> list[TokenizedText]:
        """See Tokenizer.encode."""
        encoded = super().encode(texts, is_query=is_query, keep_end=keep_end)
        return [_without_first(text) for text in encoded]

    def frame(
        self,
        texts: Sequence[NDArray[np.int32]],
        *,
        is_query: bool = False,
        keep_end: bool = False,
    ) -> list[TokenizedText]:
        """See Tokenizer.frame."""
        framed = super().frame(texts, is_query=is_query, keep_end=keep_end)
        return [_without_first(text) for text in framed]


def _without_first(text: TokenizedText) -> TokenizedText:
    return replace(text, kept=np.arange(len(text.ids)) > 0)


def kept_vectors(values: NDArray[np.float32], text: TokenizedText) -> NDArray[np.float32]:
    """Return a text's multivector from its row of the output, which has padding at its end."""
    vectors = values[: len(text.ids)]
    return vectors if text.kept is None else vectors[text.kept]


def open_tokenizer(checkpoint: Checkpoint) -> Tokenizer:
    """Return the tokenizer that the checkpoint's heads need.

    Raises:
        CheckpointError: its files are missing, malformed, or lack a token, or no token of a text
            fits into the longest input.

    """
    rust = open_rust(checkpoint)
    _require_room(rust, checkpoint)
    if isinstance(checkpoint.heads[0], SpanHead):
        return GlinerTokenizer(rust, checkpoint)
    if any(isinstance(head, AnswerHead) for head in checkpoint.heads):
        path = checkpoint.config.path
        return PromptTokenizer(rust, max_length=checkpoint.max_length, path=path)
    heads = [head for head in checkpoint.heads if isinstance(head, MultivectorHead)]
    if not heads:
        return Tokenizer(rust, max_length=checkpoint.max_length)
    if heads[0].marked:
        return ColbertTokenizer(rust, checkpoint, ColbertSettings.read(checkpoint))
    return BgeM3Tokenizer(rust, max_length=checkpoint.max_length)


def _require_room(rust: RustTokenizer, checkpoint: Checkpoint) -> None:
    pairs = Output.LOGITS in checkpoint.outputs
    marked = any(isinstance(head, MultivectorHead) and head.marked for head in checkpoint.heads)
    taken = int(rust.num_special_tokens_to_add(pairs)) + marked
    if checkpoint.max_length <= taken:
        problem = (
            f"inputs of {checkpoint.max_length} tokens have no room beside {taken} special ones"
        )
        raise CheckpointError(checkpoint.config.path, problem)
