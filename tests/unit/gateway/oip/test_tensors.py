"""The tensor codec: what is packed is unpacked, and what is malformed is refused."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.oip.tensors import (
    NUMPY_TYPES,
    MalformedTensorError,
    array,
    bytes_tensor,
    count_of,
    pack_bytes,
    tensor_of,
    unpack_bytes,
)

ELEMENTS = st.lists(st.binary(max_size=20), max_size=8)


@given(ELEMENTS)
def test_packed_elements_are_unpacked(elements):
    assert unpack_bytes(pack_bytes(elements), len(elements)) == elements


@given(ELEMENTS)
def test_the_raw_form_is_a_length_before_each_element(elements):
    expected = b"".join(struct.pack("<I", len(each)) + each for each in elements)
    assert pack_bytes(elements) == expected == bytes_tensor("x", elements).raw


@given(ELEMENTS, st.integers(0, 12))
def test_another_count_is_refused(elements, count):
    if count != len(elements):
        with pytest.raises(MalformedTensorError):
            unpack_bytes(pack_bytes(elements), count)


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=8), st.data())
def test_a_cut_tensor_is_refused(elements, data):
    raw = pack_bytes(elements)
    cut = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(MalformedTensorError):
        unpack_bytes(raw[:cut], len(elements))


@given(st.binary(max_size=64), st.integers(0, 20))
def test_any_bytes_give_their_elements_or_one_error(raw, count):
    try:
        elements = unpack_bytes(raw, count)
    except MalformedTensorError:
        return
    assert len(elements) == count
    assert pack_bytes(elements) == raw


def test_a_length_beyond_the_end_is_refused_without_reserving_memory():
    with pytest.raises(MalformedTensorError, match="within element 0"):
        unpack_bytes(b"\xff\xff\xff\xffab", 1)


def test_a_count_that_no_bytes_can_hold_is_refused_at_once():
    with pytest.raises(MalformedTensorError, match="cannot hold"):
        unpack_bytes(b"", 2**62)


@pytest.mark.parametrize(("shape", "count"), [([0], 0), ([3], 3), ([3, 1], 3), ([2**62, 1], 2**62)])
def test_a_list_has_a_row_for_each_element(shape, count):
    assert count_of(shape) == count


@pytest.mark.parametrize(
    "shape", [[], [-1], [-3, 1], [1, 3], [2, 2], [1, 1, 1], [2**62, 2**62], [0, 0], [1] * 1000]
)
def test_other_shapes_are_refused(shape):
    with pytest.raises(MalformedTensorError) as caught:
        count_of(shape)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(("datatype", "numpy_type"), NUMPY_TYPES.items())
def test_arrays_keep_their_type_and_values(datatype, numpy_type):
    values = np.arange(6).reshape(2, 3).astype(numpy_type)
    tensor = tensor_of("x", values)
    assert (tensor.datatype, tensor.shape) == (datatype, (2, 3))
    assert (array(tensor).reshape(2, 3) == values).all()
