"""Work that is taken apart is the same work."""

from hypothesis import given
from hypothesis import strategies as st

from sie.work.v1.work_item_pb2 import WorkClass, WorkItem
from worker.queue.cancellations import Cancellations
from worker.queue.isolation import pieces_of, with_request

texts = st.lists(st.text(max_size=5), min_size=1, max_size=8)


def item_of(texts, first=3):
    item = WorkItem(
        request_id="r",
        model_id="m",
        reply_subject="s",
        first_item=first,
        item_count=len(texts),
        deadline_unix_ms=5,
        work_class=WorkClass.WORK_CLASS_BULK,
        tenant="t",
    )
    item.score.query.text = "q"
    for text in texts:
        item.score.items.add(text=text)
    return item


@given(texts)
def test_each_item_is_in_one_piece_with_all_that_held_for_the_whole(texts):
    whole = item_of(texts)
    pieces = list(pieces_of(whole))
    assert [piece.score.items[0].text for piece in pieces] == texts
    assert [piece.first_item for piece in pieces] == list(range(3, 3 + len(texts)))
    for piece in pieces:
        assert (piece.item_count, len(piece.score.items)) == (1, 1)
        piece.first_item, piece.item_count = whole.first_item, whole.item_count
        piece.score.ClearField("items")
        piece.score.items.extend(whole.score.items)
        assert piece == whole


@given(texts)
def test_pieces_of_a_kept_request_read_their_own_item_of_it(texts):
    whole = item_of(texts)
    kept = WorkItem(score=whole.score).SerializeToString()
    reference = WorkItem()
    reference.CopyFrom(whole)
    reference.ClearField("score")
    reference.payload.key = "k"
    found = []
    for piece in pieces_of(reference):
        with_request(piece, kept)
        assert piece.score.query.text == "q"
        found += [item.text for item in piece.score.items]
    assert found == texts


def test_a_kept_request_that_is_whole_is_read_whole():
    whole = item_of(["a", "b"])
    reference = WorkItem(first_item=3, item_count=2)
    reference.payload.key = "k"
    with_request(reference, WorkItem(score=whole.score).SerializeToString())
    assert reference.score == whole.score


def test_the_latest_notices_are_remembered_and_no_more():
    cancelled, heard = Cancellations(kept=3), []
    cancelled.subscribe(heard.extend)
    for number in range(5):
        cancelled.add([f"s{number}"])
    assert heard == ["s0", "s1", "s2", "s3", "s4"]
    assert [f"s{n}" in cancelled for n in range(5)] == [False, False, True, True, True]
    assert len(cancelled) == 3
