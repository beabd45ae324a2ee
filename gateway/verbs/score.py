"""Score: items are spread over workers, and ranked here.

A chunk carries the query with some of the items. Scores of one query by one model compare, so
the ranking of all is the sorted union of the chunks' entries.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from gateway.validation import (
    check_enum,
    check_item,
    check_items,
    check_options,
    check_profile,
    lower,
    outputs_of,
    settle_options,
    unsupported,
)
from gateway.verbs.fragments import error_of, item_range
from servicekit.errors import invalid
from sie.inference.v1.inference_service_pb2 import ScoreRequest, ScoreResponse, Truncate
from sie.inference.v1.item_pb2 import Item
from sie.inference.v1.result_pb2 import ScoreEntry, Timing
from sie.inference.v1.tensor_pb2 import DataType, MultiVector, OutputType
from sie.registry.v1.model_pb2 import Model

NAME = "score"


def answers(model: Model) -> bool:
    """Whether the model ranks items: by itself, or by comparing vectors."""
    encode = model.tasks.encode
    compares = encode.HasField("dense") or encode.HasField("multivector")
    return model.tasks.HasField("score") or compares


def check(request: ScoreRequest, model: Model, max_items: int) -> None:
    """Checks a request against the contract and against what the model can do.

    Raises:
        SieError: INVALID_INPUT or UNSUPPORTED_OUTPUT.
    """
    if not answers(model):
        names = [lower(OutputType, output) for output in outputs_of(model)]
        message = f"model '{model.model_id}' does not score pairs"
        raise unsupported(model, "model", message, names)
    if not request.HasField("query"):
        raise invalid("query", "a query is needed")
    precomputed = model.tasks.encode.HasField("multivector")
    check_item(request.query, "query", model, precomputed=precomputed)
    check_items(request.items, model, max_items, precomputed=precomputed)
    _check_multivectors(request, model)
    check_enum(request.truncate, Truncate, "truncate")
    settle_options(request, "")
    check_options(request.options, "options")
    check_profile(request.profile, model, "profile")


def part(request: ScoreRequest, first: int, last: int) -> ScoreRequest:
    return ScoreRequest(
        query=request.query,
        items=request.items[first:last],
        instruction=request.instruction,
        truncate=request.truncate,
        profile=request.profile,
        options=request.options,
        raw_scores=request.raw_scores,
    )


def join(request: ScoreRequest, results: Sequence[Any], timing: Timing) -> bytes:
    parts = [_response(result) for result in results]
    ranked = sorted((entry for each in parts for entry in each.scores), key=_relevance)
    for rank, entry in enumerate(ranked):
        entry.rank = rank
        entry.item_id = request.items[entry.index].id or f"item-{entry.index}"
    return ScoreResponse(
        model=request.model,
        query_id=request.query.id,
        scores=ranked,
        kind=max(each.kind for each in parts),
        timing=timing,
    ).SerializeToString()


def _response(result: Any) -> ScoreResponse:
    """A worker's entries, or the chunk's one error for each of its items."""
    if result.WhichOneof("outcome") == NAME:
        return ScoreResponse.FromString(result.score)
    error = error_of(result)
    return ScoreResponse(scores=[ScoreEntry(index=i, error=error) for i in item_range(result)])


def _relevance(entry: ScoreEntry) -> tuple[bool, float, int]:
    """Orders entries: most relevant first, equal ones as in the request, failed ones last."""
    return entry.HasField("error"), -entry.score, entry.index


def _check_multivectors(request: ScoreRequest, model: Model) -> None:
    for path, item in _multivectors(request):
        dims = model.tasks.encode.multivector.dims
        _check_multivector(item.multivector, dims, f"{path}.multivector")


def _multivectors(request: ScoreRequest) -> Iterator[tuple[str, Item]]:
    if request.query.HasField("multivector"):
        yield "query", request.query
    for index, item in enumerate(request.items):
        if item.HasField("multivector"):
            yield f"items[{index}]", item


def _check_multivector(vectors: MultiVector, dims: int, field: str) -> None:
    if vectors.dtype not in {DataType.DATA_TYPE_UNSPECIFIED, DataType.DATA_TYPE_FLOAT32}:
        raise invalid(f"{field}.dtype", "token vectors are compared as float32")
    if vectors.token_dims != dims:
        raise invalid(f"{field}.token_dims", f"the model has {dims}, got {vectors.token_dims}")
    size = vectors.num_tokens * vectors.token_dims
    if not size or len(vectors.values) != size:
        wanted = f"num_tokens x token_dims = {vectors.num_tokens} x {vectors.token_dims}"
        raise invalid(f"{field}.values", f"{wanted} are needed, got {len(vectors.values)}")
