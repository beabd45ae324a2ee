"""Element types of returned vectors, against their documented formulas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.packed import packed_twin
from sie.inference.v1.tensor_pb2 import DataType, DenseVector, MultiVector, SparseVector
from worker.verbs.sparse import merged_weights, nonzero
from worker.verbs.vectors import write_dense, write_multivector, write_sparse

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


def rewritten(message_type, write, *arguments):
    packed = packed_twin(message_type)()
    write(packed, *arguments)
    return message_type.FromString(packed.SerializeToString())


@given(st.lists(st.floats(-1, 1, width=32), max_size=40).map(lambda xs: np.array(xs, np.float32)))
def test_a_sparse_vector_holds_what_is_above_zero_by_ascending_index(weights):
    message = rewritten(
        SparseVector, write_sparse, *nonzero(weights), DataType.DATA_TYPE_FLOAT32, len(weights)
    )
    expected = {index: weight for index, weight in enumerate(weights) if weight > 0}
    assert list(message.indices) == sorted(expected)
    assert list(message.values) == [expected[index] for index in sorted(expected)]
    assert message.dims == len(weights)


def test_sparse_weights_may_be_half_precision():
    pair = np.array([3, 70_000], np.int32), np.array([0.1, 2.5], np.float32)
    message = rewritten(SparseVector, write_sparse, *pair, DataType.DATA_TYPE_FLOAT16, 250_002)
    assert message.dtype == DataType.DATA_TYPE_FLOAT16
    assert (list(message.indices), list(message.values)) == ([3, 70_000], [])
    np.testing.assert_array_equal(np.frombuffer(message.data, "<f2"), pair[1].astype("<f2"))


@given(
    tokens=st.lists(st.tuples(st.integers(0, 9), st.floats(-1, 1, width=32)), max_size=30),
    padding=st.integers(0, 3),
)
def test_an_id_has_the_largest_weight_of_its_tokens(tokens, padding):
    ids = np.array([token for token, _ in tokens], np.int32)
    weights = np.array([weight for _, weight in tokens] + [9.0] * padding, np.float32)
    indices, merged = merged_weights(ids, weights, {0, 4})
    expected = {}
    for token, weight in tokens:
        if weight > 0 and token not in {0, 4}:
            expected[token] = max(weight, expected.get(token, 0))
    assert dict(zip(indices.tolist(), merged.tolist(), strict=True)) == expected
    assert indices.tolist() == sorted(expected)


@pytest.mark.parametrize("dtype", DataType.values())
@pytest.mark.parametrize("tokens", [0, 1, 5])
def test_each_vector_of_a_multivector_is_quantised_for_itself(dtype, tokens):
    vectors = np.random.default_rng(0).normal(size=(tokens, 12)).astype(np.float32)
    message = rewritten(MultiVector, write_multivector, vectors, dtype)
    assert (message.num_tokens, message.token_dims) == (tokens, 12)
    rows = [written(vector, dtype) for vector in vectors]
    assert message.data == b"".join(row.data for row in rows)
    assert list(message.values) == [value for row in rows for value in row.values]


@pytest.mark.parametrize("dtype", [DataType.DATA_TYPE_INT8, DataType.DATA_TYPE_UINT8])
def test_the_smallest_numbers_do_not_overflow(dtype):
    message = written(np.array([0, 1e-45, -1e-45], np.float32), dtype)
    assert len(set(message.data)) == 3
