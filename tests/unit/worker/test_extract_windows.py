"""Windows cover every character, and what they find is joined without loss or repetition."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.extraction.gliner_spans import spans
from worker.extraction.spans import Rules, Span, trimmed
from worker.extraction.windows import Found, merged, windows

ROOM = 16
OVERLAP = ROOM // 4

sizes_of_units = st.lists(st.integers(0, ROOM + 4), max_size=80)
even_units = st.integers(0, 200)


def divided(sizes, most=None):
    return windows(np.array(sizes, dtype=np.int64), ROOM, most)


@given(sizes=sizes_of_units, most=st.none() | st.integers(1, 20))
def test_windows_cover_all_units_in_order_and_none_is_too_large(sizes, most):
    parts = divided(sizes, most)
    assert sorted(set(itertools.chain(*parts))) == list(range(len(sizes)))
    for part in parts:
        assert 0 < len(part) <= (most or len(sizes))
        assert sum(sizes[part.start : part.stop]) <= ROOM or len(part) == 1
    for one, other in itertools.pairwise(parts):
        assert one.start < other.start <= one.stop < other.stop


@given(units=even_units)
def test_neighbours_share_a_quarter(units):
    for one, other in itertools.pairwise(divided([1] * units)):
        assert one.stop - other.start == OVERLAP


@pytest.mark.parametrize("units", [1, ROOM])
def test_a_text_that_fits_is_one_window(units):
    assert divided([1] * units) == [range(units)]


@st.composite
def texts_with_spans(draw):
    """A number of characters, each a unit, and disjoint spans no longer than the overlap."""
    units = draw(st.integers(1, 120))
    labels, found, place = st.sampled_from("AB"), [], 0
    while place < units:
        place += draw(st.integers(0, 6))
        end = min(units, place + draw(st.integers(1, OVERLAP)))
        if place < end:
            found.append(Span(place, end, draw(labels), draw(st.floats(0, 1))))
        place = end
    return units, found


def seen_through(part, found, score):
    """What a perfect reader sees of spans through a window: cut ones with a score of their own."""
    for span in found:
        start, end = max(span.start, part.start), min(span.end, part.stop)
        if start < end:
            whole = (start, end) == span[:2]
            yield span._replace(start=start, end=end, score=span.score if whole else score)


@given(given_text=texts_with_spans(), score=st.floats(0, 1), rules=st.builds(Rules))
def test_spans_cut_by_a_border_are_those_of_the_window_that_holds_them(given_text, score, rules):
    units, expected = given_text
    found = [
        Found(part.start, part.stop, list(seen_through(part, expected, score)))
        for part in divided([1] * units)
    ]
    assert merged(found, rules) == expected


@st.composite
def anything_found(draw):
    """Windows of a text with spans of any kind, those of one window disjoint."""
    return [
        Found(part.start, part.stop, draw(disjoint_spans(part)))
        for part in divided([1] * draw(st.integers(1, 100)))
    ]


@st.composite
def disjoint_spans(draw, part):
    borders = sorted(draw(st.sets(st.integers(part.start, part.stop), max_size=8)))
    return [Span(*pair, "A", draw(st.floats(0, 1))) for pair in itertools.pairwise(borders)]


@given(found=anything_found())
def test_no_spans_of_the_result_exclude_each_other_and_all_were_found(found):
    joined = merged(found, Rules())
    assert [span.start for span in joined] == sorted(span.start for span in joined)
    for one, other in itertools.pairwise(joined):
        assert one.end <= other.start
    everything = set(itertools.chain(*(part.spans for part in found)))
    assert set(joined) <= everything
    for span in everything - set(joined):
        assert any(span.overlaps(other) for other in joined)


def test_the_better_score_wins_where_both_windows_hold_a_span_whole():
    one = Found(0, 16, [Span(13, 15, "A", 0.4)])
    other = Found(12, 28, [Span(13, 15, "B", 0.6), Span(20, 21, "A", 0.1)])
    assert merged([one, other], Rules()) == list(other.spans)


SCORES = np.zeros((4, 3, 2), dtype=np.float32)
SCORES[0, 1] = [0.9, 0.8]  # words 0-1
SCORES[1, 0] = [0.7, 0.1]  # word 1, within
SCORES[1, 1] = [0.1, 0.6]  # words 1-2, across
SCORES[3, 2] = [1.0, 1.0]  # past the end
OFFSETS = np.array([[0, 2], [3, 5], [6, 8], [9, 11]])


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (Rules(), [(0, 5, "A")]),
        (Rules(multi_label=True), [(0, 5, "A"), (0, 5, "B")]),
        (Rules(flat=False), [(0, 5, "A"), (3, 5, "A")]),
    ],
)
def test_better_spans_rule_out_those_that_cross_them(rules, expected):
    found = spans(OFFSETS, SCORES, ["A", "B"], 0.5, rules)
    assert [span[:3] for span in found] == expected


def test_white_space_is_no_part_of_a_span():
    assert trimmed(Span(5, 12, "A", 1.0), "I saw  Rome .")[:2] == (7, 11)
