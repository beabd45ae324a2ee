"""Dense vectors for the services of this package."""

from collections.abc import Sequence
from typing import Any

from gateway.api import Call
from gateway.inference import InferenceService
from servicekit.errors import from_proto
from servicekit.packed import packed_twin
from sie.inference.v1.inference_service_pb2 import EncodeParams, EncodeRequest, EncodeResponse
from sie.inference.v1.item_pb2 import Item
from sie.inference.v1.tensor_pb2 import OutputType

_Response = packed_twin(EncodeResponse)


async def dense_vectors(
    verbs: InferenceService, model: str, texts: Sequence[str], params: EncodeParams, call: Call
) -> tuple[list[Any], dict[str, str]]:
    """Encodes texts.

    These APIs have no place for the error of one text, so that fails the call.

    Returns:
        EncodeResults, packed twins, whose `dense.values` are the bytes of float32; headers.

    Raises:
        SieError: as Encode, or what is wrong with one of the texts.
    """
    params.output_types.append(OutputType.OUTPUT_TYPE_DENSE)
    items = [Item(text=text) for text in texts]
    reply = await verbs.encode(EncodeRequest(model=model, items=items, params=params), call)
    results = list(_Response.FromString(reply.body).items)
    for result in results:
        if result.HasField("error"):
            raise from_proto(result.error)
    return results, reply.headers
