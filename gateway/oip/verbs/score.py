"""Score as tensors.

    query or query_image           BYTES [1]   in
    documents or document_images   BYTES [n]   in
    scores                         FP32 [n]    in the order of the documents
    input_tokens                   INT32 [n]
    truncated                      BOOL [n]

The response's parameter `score_kind` says what the scores measure.
"""

from collections.abc import Sequence

import numpy as np

from gateway.oip.parameters import fill
from gateway.oip.tensors import tensor_of
from gateway.oip.verbs import items
from gateway.oip.verbs.verb import Asked, Elements, Given, TensorSpec, Values
from gateway.transcoder.names import enum_names
from gateway.verbs import score
from gateway.verbs.fragments import raise_item_error
from servicekit.errors import invalid
from sie.inference.v1.inference_service_pb2 import ScoreRequest, ScoreResponse
from sie.inference.v1.result_pb2 import ScoreKind
from sie.registry.v1.model_pb2 import Model

NAME = score.NAME
_PARAMETERS = ("instruction", "truncate", "profile", "options")
SCORES = TensorSpec("scores", "FP32", (-1,))

answers = score.answers

_KINDS = enum_names(ScoreKind.DESCRIPTOR)


def inputs(model: Model) -> list[TensorSpec]:
    queries = [spec._replace(shape=(1,)) for spec in items.specs("query", "query_image", model)]
    return [*queries, *items.specs("documents", "document_images", model)]


def outputs(_model: Model, _values: Values) -> list[TensorSpec]:
    return [SCORES, items.TOKENS, items.TRUNCATED]


def request(model: Model, elements: Elements, _wanted: Sequence[str], values: Values) -> Asked:
    query = items.only_one(
        elements, [spec.name for spec in items.specs("query", "query_image", model)]
    )
    documents = items.only_one(
        elements, [spec.name for spec in items.specs("documents", "document_images", model)]
    )
    queries = items.items_of(query, elements[query])
    if len(queries) != 1:
        raise invalid(query, f"one element is needed, got {len(queries)}")
    message = ScoreRequest(
        query=queries[0],
        items=items.items_of(documents, elements[documents]),
    )
    fill(message, values, _PARAMETERS)
    return Asked(message, documents, query)


def read(body: bytes, wanted: Sequence[str]) -> Given:
    response = ScoreResponse.FromString(body)
    raise_item_error(response.scores)
    entries = sorted(response.scores, key=lambda entry: entry.index)
    made = items.token_tensors(wanted, entries)
    if SCORES.name in wanted:
        scores = np.fromiter((entry.score for entry in entries), np.float32, len(entries))
        made[SCORES.name] = tensor_of(SCORES.name, scores)
    return Given([made[name] for name in wanted], {"score_kind": _KINDS[response.kind]})
