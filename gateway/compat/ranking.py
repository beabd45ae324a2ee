"""Ranked texts for the services of this package."""

from collections.abc import Sequence

from gateway.endpoint import Call
from gateway.inference import InferenceService
from gateway.verbs.fragments import raise_item_error
from servicekit.errors import invalid
from sie.inference.v1.inference_service_pb2 import ScoreRequest, ScoreResponse, Truncate
from sie.inference.v1.item_pb2 import Item


async def ranked(
    verbs: InferenceService,
    model: str,
    query: str,
    texts: Sequence[str],
    call: Call,
    truncate: Truncate = Truncate.TRUNCATE_UNSPECIFIED,
    *,
    raw_scores: bool = False,
) -> tuple[ScoreResponse, dict[str, str]]:
    """Scores texts by their relevance to a query; entries stand best first.

    Raises:
        SieError: as Score, or what is wrong with one of the texts.
    """
    if not query:
        raise invalid("query", "a query is needed")
    request = ScoreRequest(
        model=model,
        query=Item(text=query),
        items=[Item(text=text) for text in texts],
        truncate=truncate,
        raw_scores=raw_scores,
    )
    reply = await verbs.score(request, call)
    response = ScoreResponse.FromString(reply.body)
    raise_item_error(response.scores)
    return response, reply.headers
