"""From a verb's response to tensors, raw and typed."""

import json

import numpy as np
import pytest

from gateway.oip.reply import response
from gateway.oip.tensors import NUMPY_TYPES, unpack_bytes
from gateway.oip.verbs import encode, extract, score
from servicekit.errors import SieError, invalid, proto_of
from sie.inference.v1.inference_service_pb2 import EncodeResponse, ExtractResponse, ScoreResponse
from sie.oip.open_inference_pb2 import ModelInferResponse
from tests.unit.gateway.oip.models import asking

FLOAT32, FLOAT16, INT8, BINARY = 1, 2, 3, 5


def read(verb, message, *wanted):
    """Arrays of the outputs, through the raw form."""
    given = verb.read(message.SerializeToString(), wanted)
    reply = ModelInferResponse.FromString(response(asking(text=[b"a"]), given))
    assert [output.name for output in reply.outputs] == list(wanted)
    return [
        np.frombuffer(raw, NUMPY_TYPES[output.datatype]).reshape(output.shape)
        for output, raw in zip(reply.outputs, reply.raw_output_contents, strict=True)
    ]


def dense(*rows, dtype=FLOAT32):
    items = []
    for index, row in enumerate(rows):
        vector = {"dims": len(row), "dtype": dtype}
        if dtype == FLOAT32:
            vector["values"] = row
        else:
            vector["data"] = np.array(row, "<f2").tobytes()
        items.append({"dense": vector, "input_tokens": index + 3, "truncated": bool(index)})
    return EncodeResponse(items=items)


def test_dense_vectors_are_rows():
    embedding, tokens, truncated = read(
        encode, dense([1, 2], [3, 4]), "embedding", "input_tokens", "truncated"
    )
    assert (embedding.dtype, embedding.tolist()) == (np.float32, [[1, 2], [3, 4]])
    assert (tokens.tolist(), truncated.tolist()) == ([3, 4], [False, True])


def test_half_floats_keep_their_type():
    (embedding,) = read(encode, dense([1, 2], dtype=FLOAT16), "embedding")
    assert (embedding.dtype, embedding.tolist()) == (np.float16, [[1, 2]])


def test_codes_come_with_what_they_stand_for():
    vector = {"dims": 2, "dtype": INT8, "data": b"\x7f\x80", "range_min": -0.5, "range_max": 0.5}
    message = EncodeResponse(items=[{"dense": vector}])
    codes, ends = read(encode, message, "embedding", "embedding_range")
    assert (codes.tolist(), ends.tolist()) == ([[127, -128]], [[-0.5, 0.5]])


def test_signs_are_eight_to_a_byte():
    vector = {"dims": 12, "dtype": BINARY, "data": b"\x01\x02"}
    (embedding,) = read(encode, EncodeResponse(items=[{"dense": vector}]), "embedding")
    assert (embedding.dtype, embedding.tolist()) == (np.int8, [[1, 2]])


def test_sparse_vectors_are_compressed_rows():
    message = EncodeResponse(
        items=[
            {"sparse": {"dims": 9, "dtype": FLOAT32, "indices": [1, 5], "values": [0.5, 2]}},
            {"sparse": {"dims": 9, "dtype": FLOAT32}},
            {"sparse": {"dims": 9, "dtype": FLOAT32, "indices": [8], "values": [1]}},
        ]
    )
    names = ("sparse_offsets", "sparse_indices", "sparse_values")
    offsets, indices, values = read(encode, message, *names)
    assert offsets.tolist() == [0, 2, 2, 3]
    assert (indices.tolist(), values.tolist()) == ([1, 5, 8], [0.5, 2, 1])


def test_token_vectors_are_rows_with_offsets():
    def rows(values):
        vectors = {"num_tokens": len(values) // 2, "token_dims": 2, "dtype": FLOAT32}
        return {"multivector": {**vectors, "values": values}}

    message = EncodeResponse(items=[rows([1, 2, 3, 4]), rows([]), rows([5, 6])])
    offsets, vectors = read(encode, message, "multivector_offsets", "multivector")
    assert offsets.tolist() == [0, 2, 2, 3]
    assert vectors.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_scores_stand_in_the_order_of_the_documents():
    message = ScoreResponse(
        scores=[{"score": 0.9, "index": 1, "input_tokens": 4}, {"score": 0.1, "index": 0}],
        kind="SCORE_KIND_LOGIT",
    )
    scores, tokens = read(score, message, "scores", "input_tokens")
    assert (scores.tolist(), tokens.tolist()) == ([pytest.approx(0.1), pytest.approx(0.9)], [0, 4])
    given = score.read(message.SerializeToString(), ["scores"])
    reply = ModelInferResponse.FromString(response(asking(query=[b"a"]), given))
    assert reply.parameters["score_kind"].string_param == "logit"


def test_what_was_found_is_json_for_each_text():
    entity = {"text": "Bob", "label": "person", "score": 0.5, "start": 0, "end": 3}
    message = ExtractResponse(items=[{"entities": [entity]}, {}])
    given = extract.read(message.SerializeToString(), ["entities", "classifications"])
    entities, classifications = (unpack_bytes(tensor.raw, 2) for tensor in given.tensors)
    assert [json.loads(each) for each in entities] == [[{**entity, "bbox": []}], []]
    assert classifications == [b"[]", b"[]"]


@pytest.mark.parametrize(
    ("verb", "message"),
    [
        (encode, EncodeResponse(items=[{}, {"error": proto_of(invalid("items[1].text", "long"))}])),
        (score, ScoreResponse(scores=[{"error": proto_of(invalid("items[1].text", "long"))}])),
        (extract, ExtractResponse(items=[{"error": proto_of(invalid("items[1].text", "long"))}])),
    ],
)
def test_the_error_of_an_item_is_the_error_of_the_call(verb, message):
    with pytest.raises(SieError, match="long"):
        verb.read(message.SerializeToString(), ["input_tokens"])


def test_a_typed_request_has_a_typed_response():
    names = ["embedding", "input_tokens", "truncated"]
    given = encode.read(dense([1, 0.5], [3, 4]).SerializeToString(), names)
    reply = ModelInferResponse.FromString(response(asking(text=[b"a"], raw=False), given))
    contents = [output.contents for output in reply.outputs]
    assert list(contents[0].fp32_contents) == [1, 0.5, 3, 4]
    assert list(contents[1].int_contents) == [3, 4]
    assert list(contents[2].bool_contents) == [False, True]
    assert not reply.raw_output_contents


def test_half_floats_are_raw_also_for_a_typed_request():
    given = encode.read(dense([1, 2], dtype=FLOAT16).SerializeToString(), ["embedding"])
    reply = ModelInferResponse.FromString(response(asking(text=[b"a"], raw=False), given))
    assert not reply.outputs[0].HasField("contents")
    assert len(reply.raw_output_contents) == 1


def test_a_typed_response_holds_bytes_and_codes():
    vector = {"dims": 2, "dtype": INT8, "data": b"\x7f\x80"}
    request = asking(text=[b"a"], raw=False)
    codes = encode.read(
        EncodeResponse(items=[{"dense": vector}]).SerializeToString(), ["embedding"]
    )
    reply = ModelInferResponse.FromString(response(request, codes))
    assert list(reply.outputs[0].contents.int_contents) == [127, -128]
    found = extract.read(ExtractResponse(items=[{}]).SerializeToString(), ["entities"])
    reply = ModelInferResponse.FromString(response(request, found))
    assert list(reply.outputs[0].contents.bytes_contents) == [b"[]"]


def test_the_request_is_named_in_the_response():
    given = encode.read(dense([1]).SerializeToString(), ["embedding"])
    reply = ModelInferResponse.FromString(response(asking(text=[b"a"]), given))
    assert (reply.model_name, reply.model_version, reply.id) == ("m", "1", "7")
