"""Vectors for the services of this package."""

from collections.abc import Sequence
from typing import Any

from gateway.endpoint import Call
from gateway.inference import InferenceService
from gateway.verbs.fragments import raise_item_error
from servicekit.errors import invalid
from servicekit.packed import packed_twin
from sie.inference.v1.inference_service_pb2 import (
    EncodeParams,
    EncodeRequest,
    EncodeResponse,
    Truncate,
)
from sie.inference.v1.item_pb2 import Item
from sie.inference.v1.tensor_pb2 import OutputType

_Response = packed_twin(EncodeResponse)

_SIDES = {"": None, "query": True, "document": False, "passage": False}


async def encoded(
    verbs: InferenceService,
    model: str,
    items: Sequence[Item],
    output: OutputType,
    params: EncodeParams,
    call: Call,
) -> tuple[list[Any], dict[str, str]]:
    """Encodes items.

    These APIs have no place for the error of one item, so that fails the call.

    Returns:
        EncodeResults, packed twins, whose vectors are the bytes of float32; headers.

    Raises:
        SieError: as Encode, or what is wrong with one of the items.
    """
    params.output_types.append(output)
    reply = await verbs.encode(EncodeRequest(model=model, items=items, params=params), call)
    results = list(_Response.FromString(reply.body).items)
    raise_item_error(results)
    return results, reply.headers


def params_of(request: Any) -> EncodeParams:
    """Parameters of a request that has `truncate`, `truncation_direction` and `prompt_name`.

    Raises:
        SieError: INVALID_INPUT, naming the field.
    """
    if request.prompt_name not in _SIDES:
        raise invalid("prompt_name", "must be query, document or passage")
    return EncodeParams(truncate=truncate_of(request), is_query=_SIDES[request.prompt_name])


def truncate_of(request: Any) -> Truncate:
    """How a request that has `truncate` and `truncation_direction` wants long texts cut.

    Raises:
        SieError: INVALID_INPUT, naming the field.
    """
    direction = request.truncation_direction.lower()
    if direction not in ("", "left", "right"):
        raise invalid("truncation_direction", "must be left or right")
    if request.HasField("truncate") and not request.truncate:
        return Truncate.TRUNCATE_NONE
    return Truncate.TRUNCATE_LEFT if direction == "left" else Truncate.TRUNCATE_RIGHT
