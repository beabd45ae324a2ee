"""Encode: from a work item's texts and images to the fragments of its reply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from servicekit.errors import SieError, invalid, proto_of
from servicekit.packed import packed_twin
from sie.inference.v1.inference_service_pb2 import EncodeResponse, Truncate
from sie.inference.v1.item_pb2 import Item
from sie.registry.v1.model_pb2 import Model
from worker.batching.packing import Input, PreparedImage
from worker.checkpoint.heads import Output
from worker.hosting.loading import LoadedModel
from worker.images.vision import read_image, size_of
from worker.queue.delivery import Delivery
from worker.texts.late_interaction import kept_vectors
from worker.texts.token_ids import read_ids
from worker.texts.tokenizer import TokenizedText
from worker.verbs.answers import Answers, too_large
from worker.verbs.encode_settings import settings_of
from worker.verbs.sparse import merged_weights, nonzero
from worker.verbs.vectors import write_dense, write_multivector, write_sparse

PackedEncodeResponse = packed_twin(EncodeResponse)


class EncodeJob:
    """One Encode work item while it is computed.

    Raises:
        SieError: the request asks for what the model does not give.

    """

    def __init__(self, delivery: Delivery, model: Model, loaded: LoadedModel) -> None:
        self.delivery = delivery
        self._loaded = loaded
        self._items = delivery.item.encode.items
        self._settings = settings_of(delivery.item.encode.params, model, loaded)
        self._inputs: dict[int, Input] = {}
        self._answers = Answers(delivery, "encode", len(self._items))

    @property
    def outputs(self) -> frozenset[Output]:
        """The engine's outputs that the results are made from."""
        return self._settings.outputs

    @property
    def size(self) -> int:
        """How much there is to prepare."""
        return sum(size_of(item) for item in self._items)

    @property
    def done(self) -> bool:
        """Whether every item has a result or an error."""
        return self._answers.done

    def prepare(self) -> list[tuple[int, Input]]:
        """Tokenise texts and read images, one an item.

        Texts that may not be cut fail if they are too long, and images if they are none.
        """
        items = dict(enumerate(self._items))
        self._tokenize({i: item for i, item in items.items() if _is_text(item)})
        self._frame({i: item for i, item in items.items() if item.token_ids})
        for index, item in items.items():
            if item.images:
                self._read_image(index)
        return list(self._inputs.items())

    def put(self, index: int, outputs: Mapping[str, NDArray[np.float32]], row: int) -> None:
        """Set the result of one item from a row of the engine's outputs."""
        response = PackedEncodeResponse()
        given = self._inputs[index]
        result = response.items.add(
            id=self._items[index].id,
            input_tokens=given.input_tokens,
            truncated=given.truncated,
        )
        for output in self.outputs:
            self._write(result, output, outputs[output][row], given)
        fragment = response.SerializeToString()
        limit = self.delivery.max_fragment_bytes
        if len(fragment) > limit:
            self.fail(index, too_large(limit))
        else:
            self._answers.set(index, fragment)

    def fail(self, index: int, error: SieError) -> None:
        """Set the error of one item; the others keep their results."""
        response = PackedEncodeResponse()
        result = response.items.add(id=self._items[index].id)
        result.error.ParseFromString(proto_of(error).SerializeToString())
        self._answers.fail(index, error, response.SerializeToString())

    async def finish(self) -> None:
        """Reply and acknowledge."""
        await self._answers.finish()

    def _tokenize(self, items: Mapping[int, Item]) -> None:
        tokenized = self._loaded.tokenizer.encode(
            [self._settings.prompt + item.text for item in items.values()],
            is_query=self._settings.is_query,
            keep_end=self._keep_end,
        )
        for index, text in zip(items, tokenized, strict=True):
            self._accept(index, text)

    def _frame(self, items: Mapping[int, Item]) -> None:
        if not items:
            return
        given: dict[int, NDArray[np.int32]] = {}
        for index, item in items.items():
            try:
                given[index] = read_ids(self._loaded.tokenizer.whole, item, self._path(index))
            except SieError as error:
                self.fail(index, error)
        if self._settings.prompt:
            prompt = self._loaded.tokenizer.whole.encode([self._settings.prompt])[0].ids
            bare = self._loaded.tokenizer.whole.bare
            given = {i: np.concatenate([prompt, bare(ids)]) for i, ids in given.items()}
        framed = self._loaded.tokenizer.frame(
            list(given.values()), is_query=self._settings.is_query, keep_end=self._keep_end
        )
        for index, text in zip(given, framed, strict=True):
            self._accept(index, text)

    @property
    def _keep_end(self) -> bool:
        return self._settings.truncate == Truncate.TRUNCATE_LEFT

    def _accept(self, index: int, text: TokenizedText) -> None:
        if text.truncated and self._settings.truncate == Truncate.TRUNCATE_NONE:
            limit = text.input_tokens
            problem = f"longer than the {limit} tokens that the model reads"
            field = "token_ids" if self._items[index].token_ids else "text"
            self.fail(index, invalid(f"{self._path(index)}.{field}", problem))
        else:
            self._inputs[index] = text

    def _read_image(self, index: int) -> None:
        try:
            self._inputs[index] = read_image(
                self._loaded.vision, self._items[index], self._path(index)
            )
        except SieError as error:
            self.fail(index, error)

    def _write(
        self, result: Any, output: Output, values: NDArray[np.float32], given: Input
    ) -> None:
        """Fill the field of a packed EncodeResult that an output answers.

        `values` are one row of the output, so those of tokens have padding at their end.
        """
        dtype = self._settings.dtype
        match output:
            case Output.DENSE:
                write_dense(result.dense, values, dtype, self._settings.dimensions)
            case _ if isinstance(given, PreparedImage):
                raise TypeError(f"images have no {output}")
            case Output.SPARSE:
                write_sparse(result.sparse, *nonzero(values), dtype, len(values))
            case Output.TOKEN_WEIGHTS:
                pairs = merged_weights(given.ids, values, self._loaded.weightless)
                write_sparse(result.sparse, *pairs, dtype, self._loaded.sizes[output])
            case _:
                kept = kept_vectors(values, given)
                write_multivector(result.multivector, kept, dtype)

    def _path(self, index: int) -> str:
        return f"items[{self.delivery.item.first_item + index}]"


def _is_text(item: Item) -> bool:
    return not (item.images or item.token_ids)
