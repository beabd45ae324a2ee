"""Extract as tensors.

    text or image     BYTES [n]   in
    entities          BYTES [n]   a JSON array for each text, of the objects that /v1/extract gives
    relations         BYTES [n]   likewise
    classifications   BYTES [n]   likewise
    objects           BYTES [n]   likewise
    input_tokens      INT32 [n]
    truncated         BOOL [n]

The parameter `labels` is a string: labels separated by commas, or a JSON array of strings.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from gateway.oip.parameters import fill, labels_in
from gateway.oip.tensors import BYTES, Tensor, bytes_tensor
from gateway.oip.verbs import items
from gateway.oip.verbs.verb import Asked, Elements, Given, TensorSpec, Values
from gateway.transcoder.json_out import renderer
from gateway.transcoder.names import descriptor_of
from gateway.verbs import extract
from gateway.verbs.fragments import raise_item_error
from servicekit.packed import packed_twin
from sie.inference.v1.inference_service_pb2 import ExtractRequest, ExtractResponse
from sie.inference.v1.result_pb2 import ExtractResult
from sie.registry.v1.model_pb2 import Model

NAME = extract.NAME
_PARAMETERS = ("labels", "threshold", "instruction", "profile", "options")

answers = extract.answers

_PackedResponse = packed_twin(ExtractResponse)
_FOUND = ("entities", "relations", "classifications", "objects")
_RENDERERS = {
    name: renderer(descriptor_of(ExtractResult).fields_by_name[name].message_type)
    for name in _FOUND
}


def inputs(model: Model) -> list[TensorSpec]:
    return items.specs("text", "image", model)


def outputs(_model: Model, _values: Values) -> list[TensorSpec]:
    found = [TensorSpec(name, BYTES, (-1,)) for name in _FOUND]
    return [*found, items.TOKENS, items.TRUNCATED]


def request(model: Model, elements: Elements, _wanted: Sequence[str], values: Values) -> Asked:
    name = items.only_one(elements, [spec.name for spec in inputs(model)])
    message = ExtractRequest(items=items.items_of(name, elements[name]))
    given = dict(values)
    if "labels" in given:
        given["labels"] = labels_in(given["labels"])
    fill(message.params, given, _PARAMETERS)
    return Asked(message, name)


def read(body: bytes, wanted: Sequence[str]) -> Given:
    results = _PackedResponse.FromString(body).items
    raise_item_error(results)
    tokens = items.token_tensors(wanted, results)
    return Given([tokens.get(name) or _found(name, results) for name in wanted], {})


def _found(name: str, results: Any) -> Tensor:
    render = _RENDERERS[name]
    return bytes_tensor(
        name,
        [
            orjson.dumps(
                [render(each) for each in getattr(result, name)],
                option=orjson.OPT_SERIALIZE_NUMPY,
            )
            for result in results
        ],
    )
