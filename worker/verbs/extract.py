"""Extract: from a work item's texts to the fragments of its reply.

An item is read in one input of the engine or in many: a long text has windows, a text with
labels of the request's own is judged once for each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from servicekit.errors import SieError, invalid, proto_of
from sie.inference.v1.inference_service_pb2 import ExtractResponse
from sie.inference.v1.result_pb2 import ExtractResult
from sie.registry.v1.model_pb2 import Model
from worker.checkpoint.heads import Output
from worker.extraction.reader import reader_of
from worker.extraction.reading import Reading, Refused
from worker.extraction.settings import settings_of
from worker.hosting.loading import LoadedModel
from worker.queue.delivery import Delivery
from worker.texts.tokenizer import TokenizedText
from worker.verbs.answers import Answers, too_large

# Windows of more inputs than these are merged in a thread: a book takes a second.
_INLINE_INPUTS = 64


class ExtractJob:
    """One Extract work item while it is computed.

    Raises:
        SieError: the request asks for what the model does not give.

    """

    def __init__(self, delivery: Delivery, model: Model, loaded: LoadedModel) -> None:
        self.delivery = delivery
        request = delivery.item.extract
        self._items = request.items
        self._settings = settings_of(request.params, model)
        self._reader = reader_of(loaded, self._settings, model.model_id)
        self._readings: dict[int, Reading] = {}
        # By index of an input: its item, and its place among the item's inputs.
        self._places: list[tuple[int, int]] = []
        self._outstanding = 0
        self._answers = Answers(delivery, "extract", len(self._items))

    @property
    def outputs(self) -> frozenset[Output]:
        """The engine's outputs that the results are made from."""
        return frozenset({self._reader.output})

    @property
    def size(self) -> int:
        """How much text there is to prepare, which may be once for each label."""
        return sum(len(item.text) for item in self._items) * max(1, len(self._settings.labels))

    @property
    def done(self) -> bool:
        """Whether every input has been answered or has failed."""
        return self._outstanding == 0

    def prepare(self) -> list[tuple[int, TokenizedText]]:
        """Tokenise the texts; those that cannot be read fail."""
        inputs: list[TokenizedText] = []
        for item, reading in enumerate(self._reader.read([item.text for item in self._items])):
            if isinstance(reading, Refused):
                field = f"items[{self._position(item)}].text"
                self._fail_item(item, invalid(field, reading.problem))
                continue
            self._readings[item] = reading
            inputs += reading.inputs
            self._places += [(item, place) for place in range(len(reading.inputs))]
        self._outstanding = len(inputs)
        return list(enumerate(inputs))

    def put(self, index: int, outputs: Mapping[str, NDArray[np.float32]], row: int) -> None:
        """Take the answer to one input."""
        item, place = self._places[index]
        self._outstanding -= 1
        if item not in self._answers:
            self._readings[item].take(place, outputs[self._reader.output][row])

    def fail(self, index: int, error: SieError) -> None:
        """Set the error of an input's item; the others keep their results."""
        self._outstanding -= 1
        self._fail_item(self._places[index][0], error)

    async def finish(self) -> None:
        """Write the results, reply and acknowledge."""
        if len(self._places) <= _INLINE_INPUTS:
            self._write()
        else:
            await asyncio.to_thread(self._write)
        await self._answers.finish()

    def _write(self) -> None:
        for item, reading in self._readings.items():
            if item not in self._answers:
                self._write_item(item, reading)

    def _write_item(self, item: int, reading: Reading) -> None:
        result = ExtractResult(
            id=self._id(item),
            input_tokens=sum(tokens.input_tokens for tokens in reading.inputs),
            truncated=any(tokens.truncated for tokens in reading.inputs),
        )
        reading.write(result)
        fragment = ExtractResponse(items=[result]).SerializeToString()
        limit = self.delivery.max_fragment_bytes
        if len(fragment) > limit:
            self._fail_item(item, too_large(limit))
        else:
            self._answers.set(item, fragment)

    def _fail_item(self, item: int, error: SieError) -> None:
        if item not in self._answers:
            result = ExtractResult(id=self._id(item), error=proto_of(error))
            fragment = ExtractResponse(items=[result]).SerializeToString()
            self._answers.fail(item, error, fragment)

    def _id(self, item: int) -> str:
        return self._items[item].id or f"item-{self._position(item)}"

    def _position(self, item: int) -> int:
        """Return an item's position in the whole request."""
        return int(self.delivery.item.first_item) + item
