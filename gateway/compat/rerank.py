"""RerankService: ranking as Cohere's and Jina's clients ask for it."""

from collections.abc import Iterable, Iterator

from google.protobuf.struct_pb2 import Value

from gateway.cluster import Cluster
from gateway.compat.inputs import named
from gateway.compat.ranking import ranked
from gateway.compat.relevance import relevance
from gateway.endpoint import Call, Reply
from gateway.inference import InferenceService
from servicekit.errors import invalid
from servicekit.registry_reads import split_model
from sie.compat.v1.rerank_service_pb2 import (
    RerankBilledUnits,
    RerankDocument,
    RerankMeta,
    RerankRequest,
    RerankResponse,
    RerankResult,
    RerankUsage,
)

# As Cohere bills.
_DOCUMENTS_PER_UNIT = 100


class RerankService:
    """One rpc over Score.

    Args:
        cluster: knows the models.
        verbs: answers.
        max_items: most documents in a request.
    """

    def __init__(self, cluster: Cluster, verbs: InferenceService, max_items: int) -> None:
        self._cluster = cluster
        self._verbs = verbs
        self._max_items = max_items

    async def rerank(self, request: RerankRequest, call: Call) -> Reply:
        if not 1 <= len(request.documents) <= self._max_items:
            problem = f"1 to {self._max_items} documents are taken, got {len(request.documents)}"
            raise invalid("documents", problem)
        texts = list(_texts(request.documents))
        self._check_length(request, call)
        with named("documents"):
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
            meta=RerankMeta(billed_units=RerankBilledUnits(search_units=_units(len(texts)))),
        )
        return Reply(response.SerializeToString(), headers)

    def _check_length(self, request: RerankRequest, call: Call) -> None:
        _, model_id = split_model(request.model)
        longest = self._cluster.model(model_id, call.principal.sees).max_sequence_length
        asked = request.max_tokens_per_doc
        if asked and not longest:
            problem = "documents are cut to what the model reads, which its definition does not say"
            raise invalid("max_tokens_per_doc", problem)
        if asked and asked < longest:
            problem = f"documents are cut to the {longest} tokens that the model reads, not to less"
            raise invalid("max_tokens_per_doc", problem)


def _units(documents: int) -> int:
    return -(-documents // _DOCUMENTS_PER_UNIT)


def _texts(documents: Iterable[Value]) -> Iterator[str]:
    for index, document in enumerate(documents):
        held = document
        if document.HasField("struct_value") and "text" in document.struct_value.fields:
            held = document.struct_value.fields["text"]
        if not held.HasField("string_value"):
            raise invalid(f"documents[{index}]", "expected a text, or an object with a 'text'")
        yield held.string_value
