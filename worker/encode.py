"""Encode: from a work item's texts to the fragments of its reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from servicekit.errors import SieError, code_of, invalid, proto_of
from servicekit.packed import packed_twin
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1.inference_service_pb2 import EncodeParams, EncodeResponse, Truncate
from sie.registry.v1.model_pb2 import Model, Profile
from worker.delivery import Delivery
from worker.tokenizer import TokenizedText
from worker.vectors import write_dense

PackedEncodeResponse = packed_twin(EncodeResponse)


class EncodeSettings(NamedTuple):
    """What a request and its profile decide together."""

    prompt: str
    truncate: int
    dtype: int
    dimensions: int


def settings_of(params: EncodeParams, model: Model) -> EncodeSettings:
    """Merge a request's parameters over its profile: the request wins."""
    profile = _profile(params.profile, model)
    return EncodeSettings(
        prompt=params.instruction or _prompt(params, profile),
        truncate=params.truncate or profile.truncate,
        dtype=params.output_dtype or profile.output_dtype,
        dimensions=params.dimensions,
    )


def _profile(name: str, model: Model) -> Profile:
    profiles = model.profiles
    asked = profiles[name or "default"] if (name or "default") in profiles else Profile()
    if not asked.extends:
        return asked
    merged = Profile()
    merged.CopyFrom(profiles[asked.extends])
    merged.MergeFrom(asked)
    return merged


def _prompt(params: EncodeParams, profile: Profile) -> str:
    if not params.HasField("is_query"):
        return ""
    return profile.query_prompt if params.is_query else profile.document_prompt


class EncodeJob:
    """One Encode work item while it is computed."""

    verb = "encode"

    def __init__(self, delivery: Delivery, model: Model) -> None:
        self.delivery = delivery
        self._items = delivery.item.encode.items
        self._settings = settings_of(delivery.item.encode.params, model)
        self._tokenized: Sequence[TokenizedText] = ()
        self._fragments = [b""] * len(self._items)
        self._errors: list[SieError] = []
        self._remaining = len(self._items)

    @property
    def texts(self) -> list[str]:
        """The texts to tokenise, one an item."""
        return [self._settings.prompt + item.text for item in self._items]

    @property
    def done(self) -> bool:
        """Whether every item has a result or an error."""
        return self._remaining == 0

    def accept(self, tokenized: Sequence[TokenizedText]) -> list[int]:
        """Take the tokenised texts, and return the indices of those to compute."""
        self._tokenized = tokenized
        if self._settings.truncate != Truncate.TRUNCATE_NONE:
            return list(range(len(tokenized)))
        for index, text in enumerate(tokenized):
            if text.truncated:
                self.fail(index, self._too_long(index, text.input_tokens))
        return [index for index, text in enumerate(tokenized) if not text.truncated]

    def put(self, index: int, outputs: Mapping[str, NDArray[np.float32]], row: int) -> None:
        """Set the result of one item from a row of the engine's outputs."""
        response = PackedEncodeResponse()
        tokenized = self._tokenized[index]
        result = response.items.add(
            id=self._items[index].id,
            input_tokens=tokenized.input_tokens,
            truncated=tokenized.truncated,
        )
        dtype, dimensions = self._settings.dtype, self._settings.dimensions
        write_dense(result.dense, outputs["dense"][row], dtype, dimensions)
        fragment = response.SerializeToString()
        limit = self.delivery.max_fragment_bytes
        if len(fragment) > limit:
            self.fail(index, _too_large(limit))
        else:
            self._set(index, fragment)

    def fail(self, index: int, error: SieError) -> None:
        """Set the error of one item; the others keep their results."""
        response = PackedEncodeResponse()
        result = response.items.add(id=self._items[index].id)
        result.error.ParseFromString(proto_of(error).SerializeToString())
        self._errors.append(error)
        self._set(index, response.SerializeToString())

    async def finish(self) -> None:
        """Reply and acknowledge. Items that all failed alike are one error."""
        reasons = {code_of(error.reason) for error in self._errors}
        if len(self._errors) == len(self._items) and len(reasons) == 1:
            await self.delivery.fail(self._errors[0])
        else:
            await self.delivery.reply(self.verb, self._fragments)

    def _set(self, index: int, fragment: bytes) -> None:
        self._fragments[index] = fragment
        self._remaining -= 1

    def _too_long(self, index: int, limit: int) -> SieError:
        position = self.delivery.item.first_item + index
        return invalid(
            f"items[{position}].text", f"longer than the {limit} tokens that the model reads"
        )


def _too_large(limit: int) -> SieError:
    return SieError(
        ErrorReason.ERROR_REASON_RESULT_TOO_LARGE,
        f"the result of one item is larger than {limit} bytes",
        limit_bytes=limit,
    )
