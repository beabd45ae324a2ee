"""Results of a request, told twice in other pieces: whole, and never short of an item."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.queue.gathering import Gathering
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.work.v1.work_result_pb2 import WorkResult


def result(first, count, failed=False):
    found = WorkResult(first_item=first, item_count=count)
    if failed:
        found.error.reason = ErrorReason.ERROR_REASON_INFERENCE_ERROR
    return found


@st.composite
def tellings(draw):
    """Chunks of a request, and results: each chunk told whole at least once, in any order."""
    sizes = draw(st.lists(st.integers(1, 8), min_size=1, max_size=4))
    told, first = [], draw(st.integers(0, 3))
    start = first
    for size in sizes:
        for _ in range(draw(st.integers(1, 3))):
            cuts = sorted(draw(st.sets(st.integers(1, size - 1)))) if size > 1 else []
            edges = [0, *cuts, size]
            told += [result(start + a, b - a) for a, b in pairwise(edges)]
        start += size
    return first, start - first, draw(st.permutations(told))


def runs(gathering):
    return [(each.first_item, each.item_count) for each in gathering.chosen]


@given(tellings())
def test_a_request_is_whole_once_every_chunk_was_told_and_stays_so(told):
    first, count, results = told
    gathering, whole = Gathering(first, count), None
    for each in results:
        if gathering.add(each):
            whole = whole or runs(gathering)
            assert runs(gathering) == whole
    at = first
    for start, length in whole:
        assert start == at
        at += length
    assert at == first + count
    assert gathering.remaining == 0


@given(tellings())
def test_what_is_chosen_before_never_counts_an_item_twice(told):
    first, count, results = told
    gathering = Gathering(first, count)
    for each in results:
        gathering.add(each)
        items = [n for start, length in runs(gathering) for n in range(start, start + length)]
        assert len(items) == len(set(items)) <= count
        assert gathering.lacks(first, count) == (gathering.remaining > 0)


def test_a_piece_told_again_costs_no_other_item():
    gathering = Gathering(0, 4)
    gathering.add(result(0, 3))
    gathering.add(result(1, 1))
    assert gathering.remaining == 1
    assert gathering.add(result(3, 1))
    assert runs(gathering) == [(0, 3), (3, 1)]


def test_a_result_is_better_than_an_error():
    gathering = Gathering(0, 2)
    gathering.add(result(0, 1, failed=True))
    gathering.add(result(0, 1))
    gathering.add(result(0, 1, failed=True))
    assert gathering.add(result(1, 1))
    assert not any(each.HasField("error") for each in gathering.chosen)


def test_items_that_the_request_does_not_have_are_not_taken():
    gathering = Gathering(2, 2)
    assert not any(gathering.add(result(*run)) for run in [(0, 3), (3, 2), (2, 0)])
    assert gathering.remaining == 2
