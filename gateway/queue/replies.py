"""Whether a result is an answer to the work that it says it answers.

Whoever can publish on the broker can send a result: a worker of another version, one with a defect,
or somebody who should not. What does not fit is not taken, and the work waits on for its answer.
"""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.queue.work import Work
from servicekit.packed import packed_twin
from sie.inference.v1.inference_service_pb2 import (
    EncodeResponse,
    ExtractResponse,
    ScoreResponse,
    TokenizeResponse,
)

_ERROR, _PART = "error", "part"


def fault(result: Any, work: Work) -> str:
    """What keeps a result from being taken; empty: nothing does.

    Args:
        result: a packed twin of WorkResult, with `part` or whole.
        work: what its request asked for.

    Raises:
        DecodeError: it holds what is no response of its verb.
    """
    if result.request_id != work.request_id:
        return "it is of another request"
    outcome = result.WhichOneof("outcome")
    if outcome in (_ERROR, _PART):
        return ""
    if outcome != work.verb:
        return f"it holds {outcome or 'nothing'}"
    if not _ANSWERS[outcome](getattr(result, outcome), result):
        return "its items are others than it says"
    return ""


def _counted(response: type[Any]) -> Callable[[bytes, Any], bool]:
    # The results themselves stay unparsed.
    twin = packed_twin(response, opaque=("items",))

    def answers(body: bytes, result: Any) -> bool:
        return bool(len(twin.FromString(body).items) == result.item_count)

    return answers


def _ranked(body: bytes, result: Any) -> bool:
    indices = sorted(entry.index for entry in ScoreResponse.FromString(body).scores)
    return indices == list(range(result.first_item, result.first_item + result.item_count))


_ANSWERS: Mapping[str, Callable[[bytes, Any], bool]] = {
    "encode": _counted(EncodeResponse),
    "extract": _counted(ExtractResponse),
    "tokenize": _counted(TokenizeResponse),
    "score": _ranked,
}
