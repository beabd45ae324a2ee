"""Tokenize: as Encode's, the reply is the workers' fragments one after the other."""

from collections.abc import Sequence
from typing import Any

from gateway.validation import check_items
from gateway.verbs.fragments import joined
from servicekit.errors import invalid
from sie.errors.v1.error_pb2 import Error
from sie.inference.v1.inference_service_pb2 import TokenizeRequest, TokenizeResponse
from sie.inference.v1.model_service_pb2 import InputType
from sie.inference.v1.result_pb2 import Timing, TokenizeResult
from sie.registry.v1.model_pb2 import Model

NAME = "tokenize"

# Of an item. A million characters take a second, and so do a million token ids.
MAX_CHARACTERS = 1_000_000
# Of all items together. A token's details take as long as dozens of ids.
MAX_REQUEST_CHARACTERS = 4_000_000
MAX_DETAILED_CHARACTERS = 1_000_000


def answers(model: Model) -> bool:
    return not model.inputs or InputType.INPUT_TYPE_TEXT in model.inputs


def check(request: TokenizeRequest, model: Model, max_items: int) -> None:
    """Checks a request against the contract and against what the model can do.

    Raises:
        SieError: INVALID_INPUT.
    """
    check_items(request.items, model, max_items, token_ids=True)
    for index, item in enumerate(request.items):
        if item.images:
            raise invalid(f"items[{index}].images", "only text and token ids are tokenized")
        if len(item.text) > MAX_CHARACTERS:
            problem = f"at most {MAX_CHARACTERS} characters are tokenized, got {len(item.text)}"
            raise invalid(f"items[{index}].text", problem)
        if len(item.token_ids) > MAX_CHARACTERS:
            problem = f"at most {MAX_CHARACTERS} ids are read, got {len(item.token_ids)}"
            raise invalid(f"items[{index}].token_ids", problem)
    _check_total(request)


def _check_total(request: TokenizeRequest) -> None:
    total = sum(len(item.text) + len(item.token_ids) for item in request.items)
    most = MAX_DETAILED_CHARACTERS if request.params.details else MAX_REQUEST_CHARACTERS
    if total > most:
        details = " with details" if request.params.details else ""
        problem = f"at most {most} characters and ids are read together{details}, got {total}"
        raise invalid("items", problem)


def part(request: TokenizeRequest, first: int, last: int) -> TokenizeRequest:
    return TokenizeRequest(items=request.items[first:last], params=request.params)


def join(request: TokenizeRequest, results: Sequence[Any], timing: Timing) -> bytes:
    def failed(index: int, error: Error) -> TokenizeResponse:
        result = TokenizeResult(id=request.items[index].id, error=error)
        return TokenizeResponse(items=[result])

    tail = TokenizeResponse(model=request.model, timing=timing)
    return joined(NAME, results, failed, tail)
