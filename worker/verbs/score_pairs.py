"""Scores from a model that reads query and document together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from servicekit.errors import SieError, invalid
from sie.registry.v1.model_pb2 import Model
from worker.checkpoint.heads import Output
from worker.hosting.loading import LoadedModel
from worker.queue.delivery import Delivery
from worker.texts.templates import DEFAULT_INSTRUCTION, PromptTokenizer
from worker.texts.tokenizer import TokenizedText
from worker.verbs.relevance import Relevance
from worker.verbs.score import Read, ScoreJob, too_long


class PairScoreJob(ScoreJob):
    """Each item makes a pair with the query, and each pair is one input.

    Raises:
        SieError: the request has an instruction, and the model takes none.

    """

    def __init__(
        self, delivery: Delivery, model: Model, loaded: LoadedModel, relevance: Relevance
    ) -> None:
        super().__init__(delivery, model, loaded, Output.LOGITS, relevance.kind)
        self._relevance = relevance
        self._read: list[Read] = []
        takes_instruction = isinstance(loaded.tokenizer, PromptTokenizer)
        if self._request.instruction and not takes_instruction:
            raise invalid("instruction", f"model '{model.model_id}' takes no instruction")

    def prepare(self) -> list[tuple[int, TokenizedText]]:
        """Tokenise the pairs; those that may not be cut fail if they are too long."""
        pairs = self._tokenized()
        self._read = [Read(pair.input_tokens, pair.truncated) for pair in pairs]
        chosen = []
        for index, pair in enumerate(pairs):
            if self.refused(self._read[index]):
                field = f"items[{self.position(index)}].text"
                self.set_error(index, too_long(field, pair.input_tokens))
            else:
                chosen.append((index, pair))
        return chosen

    def put(self, index: int, outputs: Mapping[str, NDArray[np.float32]], row: int) -> None:
        """Set the score of one item from its pair's logits."""
        logits = outputs[Output.LOGITS][row]
        self.set_score(index, self._relevance.score(logits), self._read[index])

    def fail(self, index: int, error: SieError) -> None:
        """Set the error of one item."""
        self.set_error(index, error)

    def _tokenized(self) -> list[TokenizedText]:
        pairs = [(self._request.query.text, item.text) for item in self._items]
        tokenizer = self._loaded.tokenizer
        if isinstance(tokenizer, PromptTokenizer):
            instruction = self._request.instruction or DEFAULT_INSTRUCTION
            return tokenizer.encode_pairs(pairs, keep_end=self.keep_end, instruction=instruction)
        return tokenizer.encode_pairs(pairs, keep_end=self.keep_end)
