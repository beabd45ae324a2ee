"""MessagePack in and out, with arrays as msgpack-numpy writes them, and nothing worse."""

import contextlib
import pickle

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gateway.http.msgpack import asked_msgpack, is_msgpack, pack, unpack
from servicekit.errors import SieError, code_of

DTYPES = ["<f4", "<f2", "<f8", "|i1", "|u1", "<i4", "<i8", "|b1"]


def array_map(**changes):
    array = {b"nd": True, b"type": "<f4", b"kind": b"", b"shape": [2], b"data": b"\0" * 8}
    return array | changes


@given(
    st.sampled_from(DTYPES).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, max_side=5))
    )
)
def test_arrays_come_back_as_they_were(array):
    (back,) = unpack(pack([array]))
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()


def test_keys_of_arrays_are_binary_as_clients_expect():
    raw = msgpack.unpackb(pack({"values": np.zeros(2, "<f4")}), strict_map_key=False)
    assert raw == {"values": array_map()}


@pytest.mark.parametrize(
    "value",
    [
        array_map() | {b"kind": b"O", b"type": "O", b"data": pickle.dumps(print)},
        array_map() | {b"kind": b"V"},
        array_map() | {b"type": "O"},
        array_map() | {b"type": ">f4"},
        array_map() | {b"type": b"<f4"},
        array_map() | {b"type": [["a", "<f4"]]},
        array_map() | {b"shape": [3]},
        array_map() | {b"shape": [-2]},
        array_map() | {b"shape": [2**40, 2**40]},
        array_map() | {b"shape": 2},
        array_map() | {b"shape": [1] * 9},
        array_map() | {b"data": "text"},
        {b"nd": True},
        {1: 2},
        {b"x": 1},
        msgpack.ExtType(4, b"x"),
        [[]] * 1_000_001,
        [[]] * 100_001,
        [{}] * 100_001,
        [[1] * 600_000, [1] * 600_000],
        array_map() | {b"nd": False, b"shape": [0], b"data": b""},
    ],
)
def test_what_is_not_read_is_invalid_input(value):
    with pytest.raises(SieError) as caught:
        unpack(msgpack.packb({"items": value}))
    assert code_of(caught.value.reason) == "INVALID_INPUT"


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_our_error(body):
    with contextlib.suppress(SieError):
        unpack(body)


@pytest.mark.parametrize(
    "body",
    [b"\x81\x90\x01", b"\x81\x80\x01", b"\x81\xc0\x01", b"\xdd\xff\xff\xff\xff", b"\x91" * 5000],
)
def test_what_no_client_writes_is_invalid_input(body):
    with pytest.raises(SieError) as caught:
        unpack(body)
    assert code_of(caught.value.reason) == "INVALID_INPUT"


def test_a_key_given_twice_is_refused():
    with pytest.raises(SieError, match="twice"):
        unpack(b"\x82\xa1a\x01\xa1a\x02")


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("", ""),
        ("*/*", ""),
        ("application/json", ""),
        ("application/msgpack", "application/msgpack"),
        ("application/x-msgpack, */*", "application/x-msgpack"),
        ("text/html, application/vnd.msgpack;q=0.5", "application/vnd.msgpack"),
    ],
)
def test_it_is_answered_where_it_is_asked_for(accept, answered):
    assert asked_msgpack({"accept": accept}) == answered


def test_the_content_type_may_have_parameters():
    assert is_msgpack({"content-type": "Application/MsgPack; charset=binary"})
    assert not is_msgpack({"content-type": "application/json"})
