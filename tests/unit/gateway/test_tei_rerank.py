"""`/rerank` of text-embeddings-inference: what its scores mean, by what the model gives."""

import math
from types import SimpleNamespace

import pytest

from gateway.compat.tei_text import TeiTextService
from gateway.endpoint import Reply
from sie.compat.v1.tei_text_service_pb2 import RerankTextsRequest, RerankTextsResponse
from sie.inference.v1.inference_service_pb2 import ScoreResponse
from sie.inference.v1.result_pb2 import ScoreKind
from sie.registry.v1.model_pb2 import Model

LOGIT = 12.5
PROBABILITY = 1 / (1 + math.exp(-LOGIT))


class Scores:
    """Scores as a worker does: `activation` says whether the checkpoint has one."""

    def __init__(self, activation):
        self._activation = activation

    async def score(self, request, _call):
        is_probability = self._activation and not request.raw_scores
        names = ("PROBABILITY", PROBABILITY) if is_probability else ("LOGIT", LOGIT)
        response = ScoreResponse(kind=ScoreKind.Value(f"SCORE_KIND_{names[0]}"))
        response.scores.add(score=names[1])
        return Reply(response.SerializeToString(), {})


@pytest.mark.parametrize("activation", [True, False])
@pytest.mark.parametrize(("raw", "expected"), [(True, LOGIT), (False, PROBABILITY)])
async def test_raw_scores_are_logits_and_others_probabilities(activation, raw, expected):
    models = SimpleNamespace(find=lambda _: Model(model_id="reranker"))
    service = TeiTextService(models, Scores(activation), max_items=8, version="0")
    request = RerankTextsRequest(query="q", texts=["t"], raw_scores=raw)
    reply = await service.rerank_texts(request, call=None)
    (rank,) = RerankTextsResponse.FromString(reply.body).ranks
    assert rank.score == pytest.approx(expected, rel=1e-6)
