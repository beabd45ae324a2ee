"""The prompt around a pair that a causal reranker judges (Zhang et al., 2025, Qwen3 Embedding).

    system: judge whether the document meets the requirements ...          the prefix
    user:   <Instruct>: ..  <Query>: ..  <Document>: ..                     the middle
    assistant, its thinking empty:                                          the suffix

The next token is the answer, `yes` or `no`. Only the middle is ever cut, so the question always
arrives. The three are tokenised apart, as published, and joined as ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.checkpoint import Checkpoint, CheckpointError
from worker.tokenizer import TokenizedText, Tokenizer
from worker.vocabulary import read_tokenizer

DEFAULT_INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"

ANSWERS = ("no", "yes")
"""The tokens whose logits the graph returns, in the order of its columns."""

_PREFIX = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and"
    ' the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
    "<|im_start|>user\n"
)
_MIDDLE = "<Instruct>: {instruction}\n<Query>: {query}\n<Document>: {document}"
_SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"


@dataclass(frozen=True, slots=True, eq=False)
class PairTemplate:
    """Writes and tokenises prompts in native threads with the GIL released; safe to share.

    Attributes:
        prefix: the ids before the middle, (tokens,) int32.
        suffix: the ids behind it, (tokens,) int32.

    """

    prefix: NDArray[np.int32]
    suffix: NDArray[np.int32]
    _middle: Tokenizer

    @classmethod
    def open(cls, checkpoint: Checkpoint, *, max_length: int | None = None) -> PairTemplate:
        """Prepare prompts of at most max_length tokens, the checkpoint's longest by default.

        Raises:
            CheckpointError: tokenizer.json cannot be read, or nothing fits between prefix and
                suffix.

        """
        rust = read_tokenizer(checkpoint.tokenizer_path)
        prefix, suffix = (
            np.array(rust.encode(part, add_special_tokens=False).ids, dtype=np.int32)
            for part in (_PREFIX, _SUFFIX)
        )
        room = (max_length or checkpoint.max_length) - len(prefix) - len(suffix)
        if room < 1:
            raise CheckpointError(
                checkpoint.config.path, f"the prompt alone is {1 - room} tokens too long"
            )
        return cls(prefix, suffix, Tokenizer(rust, max_length=room, lower_case=False))

    def encode(
        self, query: str, documents: Sequence[str], instruction: str = DEFAULT_INSTRUCTION
    ) -> list[TokenizedText]:
        """Tokenise a prompt for each document, in order."""
        middles = [
            _MIDDLE.format(instruction=instruction, query=query, document=document)
            for document in documents
        ]
        return [self._joined(middle) for middle in self._middle.encode(middles)]

    def _joined(self, middle: TokenizedText) -> TokenizedText:
        ids = np.concatenate([self.prefix, middle.ids, self.suffix])
        return TokenizedText(ids, truncated=middle.truncated)
