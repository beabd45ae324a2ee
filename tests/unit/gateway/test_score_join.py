"""Entries of several workers become one ranking."""

from gateway.verbs import score
from servicekit.packed import packed_twin
from sie.errors.v1.error_pb2 import Error
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1.inference_service_pb2 import ScoreRequest, ScoreResponse
from sie.inference.v1.item_pb2 import Item
from sie.inference.v1.result_pb2 import ScoreEntry, ScoreKind, Timing
from sie.work.v1.work_result_pb2 import WorkResult

PackedWorkResult = packed_twin(WorkResult, opaque=("encode", "score", "extract"))
ERROR = Error(reason=ErrorReason.ERROR_REASON_INFERENCE_ERROR, message="no")


def result(first, *entries):
    scores = [ScoreEntry(index=first + n, **entry) for n, entry in enumerate(entries)]
    response = ScoreResponse(scores=scores, kind=ScoreKind.SCORE_KIND_LOGIT)
    sent = WorkResult(first_item=first, item_count=len(entries), score=response)
    return PackedWorkResult.FromString(sent.SerializeToString())


def failed(first, count):
    sent = WorkResult(first_item=first, item_count=count, error=ERROR)
    return PackedWorkResult.FromString(sent.SerializeToString())


def joined(*results, ids=("a", "", "c", "", "")):
    items = [Item(id=name, text="x") for name in ids]
    request = ScoreRequest(model="m", query=Item(id="q", text="y"), items=items)
    return ScoreResponse.FromString(score.join(request, results, Timing(total_ms=1)))


def test_chunks_are_ranked_together_and_equal_scores_stay_in_the_requests_order():
    response = joined(
        result(0, {"score": -1.5}, {"score": 2.0}, {"score": 0.5}),
        result(3, {"score": 2.0}, {"score": 3.0}),
    )
    assert [entry.index for entry in response.scores] == [4, 1, 3, 2, 0]
    assert [entry.rank for entry in response.scores] == [0, 1, 2, 3, 4]
    assert [entry.item_id for entry in response.scores] == ["item-4", "item-1", "item-3", "c", "a"]
    assert (response.model, response.query_id, response.timing.total_ms) == ("m", "q", 1)
    assert response.kind == ScoreKind.SCORE_KIND_LOGIT


def test_failed_items_come_last_whether_they_failed_alone_or_with_their_chunk():
    response = joined(failed(0, 2), result(2, {"error": ERROR}, {"score": -9.0}, {"score": 1.0}))
    assert [entry.index for entry in response.scores] == [4, 3, 0, 1, 2]
    assert [entry.HasField("error") for entry in response.scores] == [False, False, *[True] * 3]
    assert response.kind == ScoreKind.SCORE_KIND_LOGIT


def test_a_part_of_a_request_repeats_all_but_the_items():
    request = ScoreRequest(
        model="m",
        query=Item(text="q"),
        items=[Item(text=text) for text in "abc"],
        instruction="i",
        truncate="TRUNCATE_LEFT",
        profile="p",
        options={"k": 1},
        raw_scores=True,
    )
    part = score.part(request, 1, 3)
    assert [item.text for item in part.items] == ["b", "c"]
    for field in ("query", "instruction", "truncate", "profile", "options", "raw_scores"):
        assert getattr(part, field) == getattr(request, field)
