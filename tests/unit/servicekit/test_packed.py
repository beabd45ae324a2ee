"""Packed twins read and write the same wire form as the messages they stand for."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from servicekit.packed import packed_twin
from sie.inference.v1.inference_service_pb2 import EncodeResponse
from sie.inference.v1.tensor_pb2 import SparseVector
from sie.work.v1.work_result_pb2 import WorkResult

PackedResponse = packed_twin(EncodeResponse)
PackedSparse = packed_twin(SparseVector)
OpaqueResult = packed_twin(WorkResult, opaque=["encode"])

floats = st.lists(st.floats(width=32, allow_nan=False), max_size=40)


@given(floats)
def test_a_twin_written_from_an_array_is_read_as_the_generated_message(values):
    packed = PackedResponse(model="m")
    packed.items.add(id="a").dense.values = np.array(values, dtype="<f4").tobytes()
    message = EncodeResponse.FromString(packed.SerializeToString())
    assert list(message.items[0].dense.values) == values


@given(floats)
def test_a_generated_message_is_read_by_the_twin_as_bytes(values):
    message = EncodeResponse()
    message.items.add().dense.values.extend(values)
    packed = PackedResponse.FromString(message.SerializeToString())
    assert np.frombuffer(packed.items[0].dense.values, dtype="<f4").tolist() == values


@given(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=20))
def test_fixed_width_integers_are_packed_as_well(indices):
    packed = PackedSparse(indices=np.array(indices, dtype="<i4").tobytes())
    assert list(SparseVector.FromString(packed.SerializeToString()).indices) == indices


def test_an_opaque_field_carries_its_message_unparsed():
    response = EncodeResponse(model="m")
    opaque = OpaqueResult(first_item=3, encode=response.SerializeToString())
    result = WorkResult.FromString(opaque.SerializeToString())
    assert result.encode == response
    assert result.WhichOneof("outcome") == opaque.WhichOneof("outcome") == "encode"


def test_fragments_written_one_after_the_other_are_one_message():
    first, second = EncodeResponse(), EncodeResponse(model="m")
    first.items.add(id="a")
    second.items.add(id="b")
    joined = EncodeResponse.FromString(first.SerializeToString() + second.SerializeToString())
    assert ([item.id for item in joined.items], joined.model) == (["a", "b"], "m")
