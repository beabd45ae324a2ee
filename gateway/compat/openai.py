"""OpenAIService: embeddings as OpenAI's clients ask for them."""

from gateway.compat.encoding import encoded
from gateway.compat.inputs import items_of, named
from gateway.endpoint import Call, Reply
from gateway.inference import InferenceService
from servicekit.packed import packed_twin
from sie.compat.v1.openai_service_pb2 import (
    EmbedTextsRequest,
    EmbedTextsResponse,
    EncodingFormat,
    OpenAIUsage,
)
from sie.inference.v1.inference_service_pb2 import EncodeParams, Truncate
from sie.inference.v1.tensor_pb2 import OutputType

# That API's own limit.
_MOST_TEXTS = 2048

_Response = packed_twin(EmbedTextsResponse)


class OpenAIService:
    """One rpc over Encode."""

    def __init__(self, verbs: InferenceService) -> None:
        self._verbs = verbs

    async def embed_texts(self, request: EmbedTextsRequest, call: Call) -> Reply:
        items = items_of(request.input, "input", most=_MOST_TEXTS, empty=False)
        truncate = Truncate.TRUNCATE_RIGHT if request.truncate else Truncate.TRUNCATE_NONE
        params = EncodeParams(dimensions=request.dimensions, truncate=truncate)
        dense = OutputType.OUTPUT_TYPE_DENSE
        with named("input", single=request.input.single):
            results, headers = await encoded(self._verbs, request.model, items, dense, params, call)
        tokens = sum(result.input_tokens for result in results)
        response = _Response(object="list", model=request.model)
        response.usage.ParseFromString(
            OpenAIUsage(prompt_tokens=tokens, total_tokens=tokens).SerializeToString()
        )
        written = request.encoding_format or EncodingFormat.ENCODING_FORMAT_FLOAT
        for index, result in enumerate(results):
            response.data.add(
                object="embedding",
                index=index,
                embedding=result.dense.values,
                encoding_format=written,
            )
        return Reply(response.SerializeToString(), headers)
