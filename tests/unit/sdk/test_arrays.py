"""Arrays in MessagePack: exact, and nothing but numbers."""

import contextlib
import pickle

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sie_sdk._http.arrays import UnreadableError, pack, unpack

SHAPE = {b"nd": True, b"type": "<f4", b"kind": b"", b"shape": [2], b"data": b"\0" * 8}


@pytest.mark.parametrize("dtype", ["<f4", "<f2", "<f8", "|i1", "|u1", "<i4", "<i8", "|b1"])
@pytest.mark.parametrize("shape", [(0,), (3,), (2, 3), (0, 4), ()])
def test_arrays_return_as_they_were(dtype, shape):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    found = unpack(pack({"values": array}))["values"]
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(found, array)


def test_arrays_in_any_order_of_memory_are_sent_in_theirs():
    array = np.arange(6, dtype="<f4").reshape(2, 3)
    np.testing.assert_array_equal(unpack(pack(array.T)), array.T)


def test_a_numpy_number_is_a_number():
    assert unpack(pack({"k": np.int64(3), "x": np.float32(0.5)})) == {"k": 3, "x": 0.5}
    assert unpack(msgpack.packb({**SHAPE, b"nd": False, b"shape": [1], b"data": b"\0" * 4})) == 0


@pytest.mark.parametrize(
    "part",
    [
        {b"kind": b"O", b"type": "|O", b"data": pickle.dumps(print)},
        {b"kind": b"O"},
        {b"kind": b"V"},
        {b"type": "|O"},
        {b"type": ">f4"},
        {b"type": "<M8[s]"},
        {b"type": [["a", "<f4"]]},
        {b"shape": [3]},
        {b"shape": [-2]},
        {b"shape": [2**40, 2**40]},
        {b"shape": "2"},
        {b"data": "text"},
        {b"data": None},
    ],
)
def test_anything_else_is_refused(part):
    with pytest.raises(UnreadableError):
        unpack(msgpack.packb({**SHAPE, **part}))


def test_what_cannot_be_sent_is_told():
    with pytest.raises(TypeError, match="object"):
        pack(np.array([object()]))
    with pytest.raises(TypeError, match="set"):
        pack({"a": {1}})


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_refused(body):
    with contextlib.suppress(UnreadableError):
        unpack(body)


def test_other_users_of_msgpack_see_no_difference():
    pack(np.zeros(1))
    with pytest.raises(TypeError):
        msgpack.packb(np.zeros(1))
