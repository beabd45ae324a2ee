"""TeiService: the vectors of text-embeddings-inference."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.compat.default_models import DefaultModels
from gateway.compat.encoding import encoded, params_of
from gateway.compat.inputs import items_of, named
from gateway.endpoint import Call, Reply
from gateway.inference import InferenceService
from servicekit.errors import invalid
from servicekit.packed import packed_twin
from servicekit.profiles import resolve
from sie.compat.v1.inputs_pb2 import Inputs
from sie.compat.v1.tei_service_pb2 import (
    EmbedAllRequest,
    EmbedAllResponse,
    EmbedRequest,
    EmbedResponse,
    EmbedSparseRequest,
    EmbedSparseResponse,
    SimilarityRequest,
    SimilarityResponse,
)
from sie.inference.v1.inference_service_pb2 import EncodeParams
from sie.inference.v1.item_pb2 import Item
from sie.inference.v1.tensor_pb2 import OutputType
from sie.registry.v1.model_pb2 import Model

_EmbedResponse = packed_twin(EmbedResponse)
_EmbedAllResponse = packed_twin(EmbedAllResponse)
_EmbedSparseResponse = packed_twin(EmbedSparseResponse)
_SimilarityResponse = packed_twin(SimilarityResponse)

# By field of EncodeTask.
_TYPES = {
    "dense": OutputType.OUTPUT_TYPE_DENSE,
    "sparse": OutputType.OUTPUT_TYPE_SPARSE,
    "multivector": OutputType.OUTPUT_TYPE_MULTIVECTOR,
}


class TeiService:
    """A few rpcs over Encode.

    Args:
        models: what the routes use.
        verbs: answers.
        max_items: most inputs in a request.
    """

    def __init__(self, models: DefaultModels, verbs: InferenceService, max_items: int) -> None:
        self._models = models
        self._verbs = verbs
        self._max_items = max_items

    async def embed(self, request: EmbedRequest, call: Call) -> Reply:
        _check_normalize(request, self._models.find(partial(_has, "dense")))
        params = params_of(request)
        params.dimensions = request.dimensions
        results, headers = await self._encoded(request.inputs, "dense", params, call)
        response = _EmbedResponse()
        for result in results:
            response.embeddings.add(values=result.dense.values)
        return Reply(response.SerializeToString(), headers)

    async def embed_all(self, request: EmbedAllRequest, call: Call) -> Reply:
        params = params_of(request)
        results, headers = await self._encoded(request.inputs, "multivector", params, call)
        response = _EmbedAllResponse()
        for result in results:
            vectors = result.multivector
            response.embeddings.add(columns=vectors.token_dims, values=vectors.values)
        return Reply(response.SerializeToString(), headers)

    async def embed_sparse(self, request: EmbedSparseRequest, call: Call) -> Reply:
        params = params_of(request)
        results, headers = await self._encoded(request.inputs, "sparse", params, call)
        response = _EmbedSparseResponse()
        for result in results:
            response.embeddings.add(indices=result.sparse.indices, values=result.sparse.values)
        return Reply(response.SerializeToString(), headers)

    async def similarity(self, request: SimilarityRequest, call: Call) -> Reply:
        sentences = [request.inputs.source_sentence, *request.inputs.sentences]
        if not request.inputs.sentences:
            raise invalid("inputs.sentences", "at least one sentence is needed")
        if not request.inputs.source_sentence:
            raise invalid("inputs.source_sentence", "a sentence is needed")
        items = [Item(text=sentence) for sentence in sentences]
        params, dense = params_of(request.parameters), _TYPES["dense"]
        model_id = self._models.find(partial(_has, "dense")).model_id
        results, headers = await encoded(self._verbs, model_id, items, dense, params, call)
        cosines = _cosines(results).tobytes()
        return Reply(_SimilarityResponse(similarities=cosines).SerializeToString(), headers)

    async def _encoded(
        self, inputs: Inputs, output: str, params: EncodeParams, call: Call
    ) -> tuple[list[Any], dict[str, str]]:
        items = items_of(inputs, "inputs", most=self._max_items)
        model_id = self._models.find(partial(_has, output)).model_id
        with named("inputs", single=inputs.single):
            return await encoded(self._verbs, model_id, items, _TYPES[output], params, call)


def _has(output: str, model: Model) -> bool:
    return bool(model.tasks.encode.HasField(output))


def _cosines(results: Sequence[Any]) -> NDArray[np.float32]:
    """Cosines between the first vector and the others, float32."""
    rows = [np.frombuffer(result.dense.values, "<f4") for result in results]
    vectors = np.stack(rows).astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1)
    # A vector of zeros is near nothing.
    vectors /= np.where(lengths > 0, lengths, 1)[:, None]
    cosines: NDArray[np.float32] = (vectors[1:] @ vectors[0]).astype("<f4")
    return cosines


def _check_normalize(request: EmbedRequest, model: Model) -> None:
    profile = resolve(model)
    if not request.HasField("normalize") or not profile.HasField("normalize"):
        return
    if request.normalize != profile.normalize:
        way = "scaled to length 1" if profile.normalize else "not scaled"
        raise invalid("normalize", f"the vectors of model '{model.model_id}' are {way}")
