"""A chunk that failed as a whole is one error for each of its items."""

from gateway.verbs import encode
from servicekit.packed import packed_twin
from sie.errors.v1.error_pb2 import Error
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1.inference_service_pb2 import EncodeRequest, EncodeResponse
from sie.inference.v1.item_pb2 import Item
from sie.inference.v1.result_pb2 import Timing
from sie.work.v1.work_result_pb2 import WorkResult

# As results arrive: their bytes are not parsed further than needed.
PackedWorkResult = packed_twin(WorkResult, opaque=("encode", "score", "extract"))


def test_a_failed_chunk_is_an_error_for_each_of_its_items():
    error = Error(reason=ErrorReason.ERROR_REASON_INVALID_INPUT, message="no", metadata={"a": "b"})
    sent = WorkResult(first_item=1, item_count=2, error=error)
    request = EncodeRequest(items=[Item(id=name) for name in "abcd"])
    found = encode.join(request, [PackedWorkResult.FromString(sent.SerializeToString())], Timing())
    results = EncodeResponse.FromString(found).items
    assert [result.id for result in results] == ["b", "c"]
    assert all(result.error == error for result in results)
