"""TeiTextService: what text-embeddings-inference has beside vectors."""

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import TypeVar

from google.protobuf.struct_pb2 import Value

from gateway.compat.default_models import DefaultModels
from gateway.compat.encoding import truncate_of
from gateway.compat.inputs import items_of, named
from gateway.compat.ranking import ranked
from gateway.compat.relevance import relevance
from gateway.endpoint import Call, Reply
from gateway.inference import InferenceService
from gateway.large_bodies import beside_the_loop
from gateway.verbs import extract, score
from gateway.verbs.fragments import raise_item_error
from servicekit.errors import invalid
from servicekit.packed import packed_twin
from sie.compat.v1.tei_text_service_pb2 import (
    DecodeTokensRequest,
    DecodeTokensResponse,
    GetInfoRequest,
    GetInfoResponse,
    PredictedClasses,
    Predictions,
    PredictRequest,
    PredictResponse,
    RerankTextsRequest,
    RerankTextsResponse,
    TextRank,
    TokenizeTextsRequest,
    TokenizeTextsResponse,
    TokenRow,
)
from sie.inference.v1.inference_service_pb2 import (
    ExtractRequest,
    ExtractResponse,
    TokenizeParams,
    TokenizeRequest,
    TokenizeResponse,
)
from sie.inference.v1.item_pb2 import Item
from sie.inference.v1.result_pb2 import TokenizeResult

T = TypeVar("T")

# Results and rows stay unparsed.
_TokenizeResponse = packed_twin(TokenizeResponse, opaque=("items",))
_TokenizeTextsResponse = packed_twin(TokenizeTextsResponse, opaque=("texts",))


class TeiTextService:
    """A few rpcs over Score, Extract and Tokenize.

    Args:
        models: what the routes use.
        verbs: answers.
        max_items: most inputs in a request.
        version: of the server.
    """

    def __init__(
        self, models: DefaultModels, verbs: InferenceService, max_items: int, version: str
    ) -> None:
        self._models = models
        self._verbs = verbs
        self._max_items = max_items
        self._version = version

    async def rerank_texts(self, request: RerankTextsRequest, call: Call) -> Reply:
        if not request.texts:
            raise invalid("texts", "at least one text is needed")
        model_id, truncate = self._models.find(score.answers).model_id, truncate_of(request)
        with named("texts"):
            scores, headers = await ranked(
                self._verbs,
                model_id,
                request.query,
                request.texts,
                call,
                truncate,
                raw_scores=request.raw_scores,
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

    async def predict(self, request: PredictRequest, call: Call) -> Reply:
        if request.raw_scores:
            raise invalid("raw_scores", "scores are probabilities")
        if request.HasField("truncate") and not request.truncate:
            raise invalid("truncate", "texts are cut to what the model reads")
        texts = list(_texts(request.inputs))
        items = [Item(text=text) for text in texts]
        single = request.inputs.HasField("string_value")
        asked = ExtractRequest(model=self._models.find(extract.answers).model_id, items=items)
        with named("inputs", single=single):
            reply = await self._verbs.extract(asked, call)
            results = ExtractResponse.FromString(reply.body).items
            raise_item_error(results)
        classes = [PredictedClasses(classes=result.classifications) for result in results]
        predictions = Predictions(texts=classes, single=single)
        response = PredictResponse(predictions=predictions)
        return Reply(response.SerializeToString(), reply.headers)

    async def tokenize_texts(self, request: TokenizeTextsRequest, call: Call) -> Reply:
        items = await beside_the_loop(
            request.ByteSize(), items_of, request.inputs, "inputs", most=self._max_items
        )
        unset = not request.HasField("add_special_tokens")
        params = TokenizeParams(
            add_special_tokens=unset or request.add_special_tokens, details=True
        )
        with named("inputs", single=request.inputs.single):
            rows, headers = await self._tokenized(items, params, call, _token_row)
        return Reply(_TokenizeTextsResponse(texts=rows).SerializeToString(), headers)

    async def decode_tokens(self, request: DecodeTokensRequest, call: Call) -> Reply:
        items = await beside_the_loop(
            request.ByteSize(), items_of, request.ids, "ids", most=self._max_items
        )
        for index, item in enumerate(items):
            if not item.token_ids:
                where = "ids" if request.ids.single else f"ids[{index}]"
                raise invalid(where, "expected a list of token ids")
        unset = not request.HasField("skip_special_tokens")
        params = TokenizeParams(skip_special_tokens=unset or request.skip_special_tokens)
        with named("ids", single=request.ids.single):
            texts, headers = await self._tokenized(items, params, call, attrgetter("text"))
        return Reply(DecodeTokensResponse(texts=texts).SerializeToString(), headers)

    async def get_info(self, request: GetInfoRequest, call: Call) -> GetInfoResponse:
        model = self._models.find()
        call.principal.check_model(model.model_id)
        return GetInfoResponse(
            model_id=model.model_id,
            max_input_length=model.max_sequence_length,
            max_client_batch_size=self._max_items,
            version=self._version,
        )

    async def _tokenized(
        self,
        items: list[Item],
        params: TokenizeParams,
        call: Call,
        made_of: Callable[[TokenizeResult], T],
    ) -> tuple[list[T], dict[str, str]]:
        request = TokenizeRequest(model=self._models.find().model_id, items=items, params=params)
        reply = await self._verbs.tokenize(request, call)
        made = await beside_the_loop(len(reply.body), _made, reply.body, made_of)
        return made, reply.headers


def _made(body: bytes, made_of: Callable[[TokenizeResult], T]) -> list[T]:
    # One result after the other: a tree of all their tokens would be freed in one go.
    return [made_of(_result(item)) for item in _TokenizeResponse.FromString(body).items]


def _result(item: bytes) -> TokenizeResult:
    result = TokenizeResult.FromString(item)
    raise_item_error([result])
    return result


def _token_row(result: TokenizeResult) -> bytes:
    return TokenRow(tokens=result.tokens).SerializeToString()


def _texts(inputs: Value) -> Iterator[str]:
    if inputs.HasField("string_value"):
        yield inputs.string_value
        return
    if not inputs.list_value.values:
        raise invalid("inputs", "expected a text, or a list with a list for each text")
    for index, entry in enumerate(inputs.list_value.values):
        texts = entry.list_value.values
        if len(texts) != 1 or not texts[0].HasField("string_value"):
            problem = "expected a list of one text; pairs are ranked by /rerank"
            raise invalid(f"inputs[{index}]", problem)
        yield texts[0].string_value
