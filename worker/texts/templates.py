"""The prompt around a pair that a causal reranker judges (Zhang et al., 2025, Qwen3 Embedding).

    system: judge whether the document meets the requirements ...          the prefix
    user:   <Instruct>: ..  <Query>: ..  <Document>: ..                     the middle
    assistant, its thinking empty:                                          the suffix

The next token is the answer, `yes` or `no`. Only the middle is ever cut, so the question always
arrives. The three are tokenised apart, as published, and joined as ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer as RustTokenizer

from worker.checkpoint.config import CheckpointError
from worker.texts.tokenizer import TokenizedText, Tokenizer

DEFAULT_INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"

_PREFIX = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and"
    ' the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
    "<|im_start|>user\n"
)
_MIDDLE = "<Instruct>: {instruction}\n<Query>: {query}\n<Document>: {document}"
_SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"


class PromptTokenizer(Tokenizer):
    """Reads a pair as the prompt about it.

    Attributes:
        prefix: the ids before the middle, (tokens,) int32.
        suffix: the ids behind it, (tokens,) int32.

    """

    def __init__(self, rust: RustTokenizer, *, max_length: int, path: Path) -> None:
        """Prepare prompts of at most max_length tokens.

        Raises:
            CheckpointError: nothing fits between prefix and suffix; `path` is blamed.

        """
        self.prefix, self.suffix = (
            np.array(rust.encode(part, add_special_tokens=False).ids, dtype=np.int32)
            for part in (_PREFIX, _SUFFIX)
        )
        room = max_length - len(self.prefix) - len(self.suffix)
        if room < 1:
            raise CheckpointError(path, f"a prompt is {1 - room} tokens too long for the model")
        super().__init__(rust, max_length=room)

    def encode_pairs(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        keep_end: bool = False,
        instruction: str = DEFAULT_INSTRUCTION,
    ) -> list[TokenizedText]:
        """Tokenise a prompt for each query and document, in order."""
        middles = [
            _MIDDLE.format(instruction=instruction, query=query, document=document)
            for query, document in pairs
        ]
        return [self._joined(middle) for middle in self.encode(middles, keep_end=keep_end)]

    def _joined(self, middle: TokenizedText) -> TokenizedText:
        return replace(middle, ids=np.concatenate([self.prefix, middle.ids, self.suffix]))
