"""Results in pieces: any order, repeats, several replies at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.queue.reassembly import Reassembly
from servicekit.errors import SieError, code_of
from sie.work.v1.work_result_pb2 import ResultPart


def pieces(reply_id, data, size):
    cut = [data[at : at + size] for at in range(0, len(data), size)]
    return [
        ResultPart(reply_id=reply_id, number=number, count=len(cut), data=each)
        for number, each in enumerate(cut)
    ]


@given(
    st.lists(st.binary(min_size=1, max_size=64), min_size=1, max_size=4),
    st.integers(1, 16),
    st.randoms(use_true_random=False),
)
def test_replies_are_whole_whatever_the_order_of_their_pieces(replies, size, random):
    parts = [part for n, data in enumerate(replies) for part in pieces(str(n), data, size)]
    random.shuffle(parts)
    assembly, whole = Reassembly(), {}
    for part in parts:
        if (data := assembly.add(part)) is not None:
            whole[part.reply_id] = data
    assert whole == {str(n): data for n, data in enumerate(replies)}
    assert not any(str(n) in assembly for n in range(len(replies)))


def test_a_piece_that_comes_twice_counts_once():
    first, second = pieces("r", b"abcd", 2)
    assembly = Reassembly(max_bytes=4)
    assert [assembly.add(part) for part in (first, first, second)] == [None, None, b"abcd"]


def test_pieces_beyond_the_bound_are_a_typed_error():
    assembly = Reassembly(max_bytes=3)
    first, second = pieces("r", b"abcd", 2)
    assembly.add(first)
    with pytest.raises(SieError) as caught:
        assembly.add(second)
    assert code_of(caught.value.reason) == "RESULT_TOO_LARGE"


def test_a_reply_that_is_given_up_takes_no_room_and_never_begins_anew():
    assembly = Reassembly(max_bytes=4)
    first, second = pieces("lost", b"abcd", 2)
    assembly.add(first)
    assert assembly.count("lost") == 1
    assembly.give_up("lost")
    assert (assembly.add(second), assembly.count("lost"), "lost" in assembly) == (None, 0, True)
    again = [assembly.add(part) for part in pieces("again", b"abcd", 2)]
    assert again == [None, b"abcd"]
