"""Element types of returned vectors, against their documented formulas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.packed import packed_twin
from sie.inference.v1.tensor_pb2 import DataType, DenseVector
from worker.vectors import write_dense

PackedDense = packed_twin(DenseVector)

components = st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=48).map(
    lambda xs: np.array(xs, dtype=np.float32)
)


def written(vector, dtype, dimensions=0):
    packed = PackedDense()
    write_dense(packed, vector, dtype, dimensions)
    return DenseVector.FromString(packed.SerializeToString())


@given(components)
def test_float32_arrives_bit_for_bit(vector):
    message = written(vector, DataType.DATA_TYPE_UNSPECIFIED)
    assert message.dtype == DataType.DATA_TYPE_FLOAT32
    assert np.array(message.values, dtype=np.float32).tobytes() == vector.tobytes()


@given(components)
def test_float16_is_the_nearest_half(vector):
    message = written(vector, DataType.DATA_TYPE_FLOAT16)
    assert message.data == vector.astype("<f2").tobytes()
    assert not message.values


@given(components)
def test_int8_scales_by_the_largest_magnitude(vector):
    message = written(vector, DataType.DATA_TYPE_INT8)
    codes = np.frombuffer(message.data, dtype=np.int8)
    assert message.range_max == pytest.approx(np.abs(vector).max())
    np.testing.assert_allclose(
        codes / 127 * message.range_max, vector, atol=message.range_max / 127 + 1e-6
    )


@given(components)
def test_uint8_spans_from_the_smallest_to_the_largest_component(vector):
    message = written(vector, DataType.DATA_TYPE_UINT8)
    codes = np.frombuffer(message.data, dtype=np.uint8)
    width = message.range_max - message.range_min
    restored = codes / 255 * width + message.range_min
    np.testing.assert_allclose(restored, vector, atol=width / 255 + 1e-5)


@given(components)
def test_binary_is_ubinary_shifted_by_128(vector):
    unsigned = np.frombuffer(written(vector, DataType.DATA_TYPE_UBINARY).data, np.uint8)
    signed = np.frombuffer(written(vector, DataType.DATA_TYPE_BINARY).data, np.int8)
    assert np.array_equal(unsigned, np.packbits(vector > 0))
    assert np.array_equal(signed.astype(int) + 128, unsigned)


def test_binary_reports_the_dimensions_before_packing():
    message = written(np.ones(12, dtype=np.float32), DataType.DATA_TYPE_UBINARY)
    assert (message.dims, len(message.data)) == (12, 2)


def test_a_shortened_vector_has_length_one_again():
    message = written(np.array([3, 4, 12], dtype=np.float32), DataType.DATA_TYPE_FLOAT32, 2)
    assert list(message.values) == pytest.approx([0.6, 0.8])
    assert message.dims == 2


def test_a_vector_of_zeros_survives_every_type():
    for dtype in DataType.values():
        written(np.zeros(8, dtype=np.float32), dtype, 4)
