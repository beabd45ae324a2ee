"""TeiService: the routes of text-embeddings-inference, which name no model."""

from gateway.api import Call, Reply
from gateway.cluster import Cluster
from gateway.compat.embedding import dense_vectors
from gateway.compat.ranking import ranked
from gateway.compat.relevance import relevance
from gateway.compat.texts import texts_of
from gateway.inference import InferenceService
from servicekit.errors import SieError, invalid
from servicekit.packed import packed_twin
from servicekit.profiles import resolve
from sie.compat.v1.tei_service_pb2 import (
    EmbedRequest,
    EmbedResponse,
    GetInfoRequest,
    GetInfoResponse,
    RerankTextsRequest,
    RerankTextsResponse,
    TextRank,
)
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1.inference_service_pb2 import EncodeParams, Truncate
from sie.registry.v1.model_pb2 import Model

_Response = packed_twin(EmbedResponse)


class TeiService:
    """A few rpcs over Encode and Score.

    Args:
        cluster: knows the models.
        verbs: answers.
        default_model: the model that the routes use; empty: the only one that is registered.
        max_items: most inputs in a request.
        version: of the server.
    """

    def __init__(
        self,
        cluster: Cluster,
        verbs: InferenceService,
        default_model: str,
        max_items: int,
        version: str,
    ) -> None:
        self._cluster = cluster
        self._verbs = verbs
        self._default_model = default_model
        self._max_items = max_items
        self._version = version

    async def embed(self, request: EmbedRequest, call: Call) -> Reply:
        model = self._model()
        _check_normalize(request, model)
        texts = texts_of(request.inputs, "inputs", most=self._max_items)
        truncate = _truncate(given=request.HasField("truncate"), cut=request.truncate)
        params = EncodeParams(dimensions=request.dimensions, truncate=truncate)
        results, headers = await dense_vectors(self._verbs, model.model_id, texts, params, call)
        response = _Response()
        for result in results:
            response.embeddings.add(values=result.dense.values)
        return Reply(response.SerializeToString(), headers)

    async def rerank_texts(self, request: RerankTextsRequest, call: Call) -> Reply:
        if not request.texts:
            raise invalid("texts", "at least one text is needed")
        truncate = _truncate(given=request.HasField("truncate"), cut=request.truncate)
        model_id = self._model().model_id
        scores, headers = await ranked(
            self._verbs, model_id, request.query, request.texts, call, truncate
        )
        ranks = [
            TextRank(
                index=entry.index,
                score=entry.score if request.raw_scores else relevance(entry.score, scores.kind),
                text=request.texts[entry.index] if request.return_text else None,
            )
            for entry in scores.scores
        ]
        return Reply(RerankTextsResponse(ranks=ranks).SerializeToString(), headers)

    async def get_info(self, request: GetInfoRequest, call: Call) -> GetInfoResponse:
        model = self._model()
        return GetInfoResponse(
            model_id=model.model_id,
            max_input_length=model.max_sequence_length,
            max_client_batch_size=self._max_items,
            version=self._version,
        )

    def _model(self) -> Model:
        if self._default_model:
            return self._cluster.model(self._default_model)
        models = self._cluster.models()
        if len(models) != 1:
            raise SieError(
                ErrorReason.ERROR_REASON_MODEL_NOT_FOUND,
                f"this route names no model and {len(models)} are registered: set "
                "SIE_DEFAULT_MODEL, or use a route that names one",
            )
        return models[0]


def _check_normalize(request: EmbedRequest, model: Model) -> None:
    profile = resolve(model)
    if not request.HasField("normalize") or not profile.HasField("normalize"):
        return
    if request.normalize != profile.normalize:
        way = "scaled to length 1" if profile.normalize else "not scaled"
        raise invalid("normalize", f"the vectors of model '{model.model_id}' are {way}")


def _truncate(*, given: bool, cut: bool) -> Truncate:
    return Truncate.TRUNCATE_NONE if given and not cut else Truncate.TRUNCATE_RIGHT
