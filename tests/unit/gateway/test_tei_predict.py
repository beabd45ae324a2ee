"""`/predict` of text-embeddings-inference, by models of different kinds."""

from types import SimpleNamespace

import pytest
from google.protobuf.struct_pb2 import Value

from gateway.compat.tei_text import TeiTextService
from gateway.endpoint import Reply
from servicekit.errors import SieError
from sie.compat.v1.tei_text_service_pb2 import PredictRequest, PredictResponse
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1.inference_service_pb2 import ExtractResponse
from sie.inference.v1.result_pb2 import ExtractResult
from sie.registry.v1.model_pb2 import Model


def service_of(result):
    async def extract(request, _call):
        assert request.params.HasField("threshold")
        answer = ExtractResult.FromString(result.SerializeToString())
        for each in answer.classifications:
            each.score = -2.5 if request.params.raw_scores else 0.25
        return Reply(ExtractResponse(items=[answer]).SerializeToString(), {})

    models = SimpleNamespace(find=lambda _: Model(model_id="m"))
    return TeiTextService(models, SimpleNamespace(extract=extract), max_items=8, version="0")


@pytest.mark.parametrize(("raw", "expected"), [(True, -2.5), (False, 0.25)])
async def test_raw_scores_are_asked_for_where_the_request_says_so(raw, expected):
    service = service_of(ExtractResult(classifications=[{"label": "sad"}]))
    request = PredictRequest(inputs=Value(string_value="water"), raw_scores=raw)
    reply = await service.predict(request, call=None)
    (text,) = PredictResponse.FromString(reply.body).predictions.texts
    assert [each.score for each in text.classes] == [expected]


async def test_a_model_that_finds_entities_is_refused_rather_than_answering_nothing():
    service = service_of(ExtractResult(entities=[{"label": "PER", "text": "Anna"}]))
    with pytest.raises(SieError, match="no classes of whole texts") as refused:
        await service.predict(PredictRequest(inputs=Value(string_value="Anna")), call=None)
    assert refused.value.reason == ErrorReason.ERROR_REASON_UNSUPPORTED_OUTPUT
