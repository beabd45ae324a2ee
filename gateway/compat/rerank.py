"""RerankService: ranking as Cohere's and Jina's clients ask for it."""

from collections.abc import Iterable

from google.protobuf.struct_pb2 import Value

from gateway.api import Call, Reply
from gateway.compat.ranking import ranked
from gateway.compat.relevance import relevance
from gateway.inference import InferenceService
from servicekit.errors import invalid
from sie.compat.v1.rerank_service_pb2 import (
    RerankDocument,
    RerankRequest,
    RerankResponse,
    RerankResult,
    RerankUsage,
)


class RerankService:
    """One rpc over Score."""

    def __init__(self, verbs: InferenceService) -> None:
        self._verbs = verbs

    async def rerank(self, request: RerankRequest, call: Call) -> Reply:
        texts = _texts(request.documents)
        scores, headers = await ranked(self._verbs, request.model, request.query, texts, call)
        results = [
            RerankResult(
                index=entry.index,
                relevance_score=relevance(entry.score, scores.kind),
                document=RerankDocument(text=texts[entry.index])
                if request.return_documents
                else None,
            )
            for entry in scores.scores[: request.top_n or None]
        ]
        tokens = sum(entry.input_tokens for entry in scores.scores)
        response = RerankResponse(
            id=call.request_id,
            model=request.model,
            results=results,
            usage=RerankUsage(total_tokens=tokens),
        )
        return Reply(response.SerializeToString(), headers)


def _texts(documents: Iterable[Value]) -> list[str]:
    texts = []
    for index, document in enumerate(documents):
        held = document
        if document.HasField("struct_value") and "text" in document.struct_value.fields:
            held = document.struct_value.fields["text"]
        if not held.HasField("string_value"):
            raise invalid(f"documents[{index}]", "expected a text, or an object with a 'text'")
        texts.append(held.string_value)
    if not texts:
        raise invalid("documents", "at least one document is needed")
    return texts
