"""Scores from a model that reads query and documents apart: how near their vectors are.

query, items ─► inputs ─► vectors, in any order ─► compared as soon as the query's are there
precomputed token vectors ──────┘
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from servicekit.errors import SieError, invalid
from sie.inference.v1.item_pb2 import Item
from sie.inference.v1.result_pb2 import ScoreKind
from sie.inference.v1.tensor_pb2 import MultiVector
from sie.registry.v1.model_pb2 import Model
from worker.batching.packing import Input, PreparedImage
from worker.checkpoint.heads import Output
from worker.hosting.loading import LoadedModel
from worker.images.vision import read_image
from worker.queue.delivery import Delivery
from worker.texts.late_interaction import kept_vectors
from worker.texts.prompts import document_prompt, query_prompt
from worker.verbs.score import Read, ScoreJob, too_long
from worker.verbs.similarity import cosine, maxsim

Vectors = NDArray[np.float32]

# Stands for the query where items have their index.
_QUERY = -1


class Comparison(NamedTuple):
    """How vectors become a score."""

    kind: ScoreKind
    score: Callable[[Vectors, Vectors], float]


COMPARISONS = {
    Output.DENSE: Comparison(ScoreKind.SCORE_KIND_COSINE, cosine),
    Output.MULTIVECTOR: Comparison(ScoreKind.SCORE_KIND_MAXSIM, maxsim),
}


class VectorScoreJob(ScoreJob):
    """The query and each item are an input each; what brings its vectors is none."""

    def __init__(
        self, delivery: Delivery, model: Model, loaded: LoadedModel, output: Output
    ) -> None:
        comparison = COMPARISONS[output]
        super().__init__(delivery, model, loaded, output, comparison.kind)
        self._compare = comparison.score
        self._inputs: dict[int, Input] = {}
        self._vectors: dict[int, Vectors] = {}

    def prepare(self) -> list[tuple[int, Input]]:
        """Tokenise texts and read images, the query first: without it nothing can be compared."""
        instruction = self._request.instruction
        prompt = instruction or query_prompt(self._profile, self._loaded)
        self._tokenize({_QUERY: self._request.query}, prompt, is_query=True)
        items = dict(enumerate(self._items))
        self._tokenize(items, document_prompt(self._profile, self._loaded), is_query=False)
        for index, item in {_QUERY: self._request.query, **items}.items():
            self._take_given(index, item)
        for index, given in self._inputs.items():
            if self.refused(Read(given.input_tokens, given.truncated)):
                self.fail(index, too_long(f"{self._path(index)}.text", given.input_tokens))
        return [each for each in self._inputs.items() if self._wanted(each[0])]

    def put(self, index: int, outputs: Mapping[str, Vectors], row: int) -> None:
        """Take the vectors of the query or of an item."""
        self._take(index, self._of_row(outputs[self._output][row], self._inputs[index]))

    def fail(self, index: int, error: SieError) -> None:
        """Set the error of one item, or of all where the query fails."""
        failed = self._unanswered() if index == _QUERY else [index]
        for each in list(failed):
            self.set_error(each, error)

    def _tokenize(self, items: Mapping[int, Item], prompt: str, *, is_query: bool) -> None:
        texts = {i: item.text for i, item in items.items() if _is_text(item)}
        tokenized = self._loaded.tokenizer.encode(
            [prompt + text for text in texts.values()], is_query=is_query, keep_end=self.keep_end
        )
        self._inputs.update(zip(texts, tokenized, strict=True))

    def _take_given(self, index: int, item: Item) -> None:
        """Take what is no text: token vectors as they are, or an image to compute."""
        try:
            if item.HasField("multivector"):
                self._take(index, _array(item.multivector, self._path(index)))
            elif item.images:
                self._inputs[index] = read_image(self._loaded.vision, item, self._path(index))
        except SieError as error:
            self.fail(index, error)

    def _take(self, index: int, vectors: Vectors) -> None:
        self._vectors[index] = vectors
        if _QUERY in self._vectors:
            ready = self._unanswered() if index == _QUERY else [index]
            for each in [i for i in ready if i in self._vectors]:
                self._score(each)

    def _score(self, index: int) -> None:
        score = self._compare(self._vectors[_QUERY], self._vectors.pop(index))
        inputs = [self._inputs[i] for i in (_QUERY, index) if i in self._inputs]
        tokens = sum(given.input_tokens for given in inputs)
        self.set_score(index, score, Read(tokens, any(given.truncated for given in inputs)))

    def _of_row(self, values: Vectors, given: Input) -> Vectors:
        if self._output == Output.DENSE or isinstance(given, PreparedImage):
            return values
        return kept_vectors(values, given)

    def _wanted(self, index: int) -> bool:
        return not self.done if index == _QUERY else index not in self._answers

    def _unanswered(self) -> Iterator[int]:
        return (index for index in range(len(self._items)) if index not in self._answers)

    def _path(self, index: int) -> str:
        return "query" if index == _QUERY else f"items[{self.position(index)}]"


def _is_text(item: Item) -> bool:
    return not item.images and not item.HasField("multivector")


def _array(message: MultiVector, path: str) -> Vectors:
    values = np.array(message.values, dtype=np.float32)
    if not np.isfinite(values).all():
        raise invalid(f"{path}.multivector.values", "must be finite numbers")
    return values.reshape(message.num_tokens, message.token_dims)
