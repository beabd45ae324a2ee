import numpy as np
import orjson
import pytest
from google.protobuf import json_format

from gateway.transcoder.json_out import ResponseWriter
from servicekit.packed import packed_twin
from tests.unit.gateway.support import float32_bytes, message_class

ENCODE = "sie.inference.v1.EncodeResponse"


def write(name, fields, response_body=""):
    cls = message_class(name)
    message = json_format.ParseDict(fields, cls())
    return ResponseWriter(cls, response_body).write(message.SerializeToString())


CASES = [
    (ENCODE, {}, {"items": []}),
    (
        ENCODE,
        {"model": "m", "items": [{"id": "a", "inputTokens": 3}], "timing": {"totalMs": 1.23456}},
        {
            "model": "m",
            "items": [{"id": "a", "input_tokens": 3, "truncated": False}],
            "timing": {
                "total_ms": 1.235,
                "queue_ms": 0.0,
                "tokenization_ms": 0.0,
                "inference_ms": 0.0,
                "postprocessing_ms": 0.0,
            },
        },
    ),
    (
        "sie.inference.v1.ScoreResponse",
        {"kind": "SCORE_KIND_LOGIT", "scores": [{"itemId": "a", "score": 0.1}]},
        {
            "scores": [
                {
                    "item_id": "a",
                    "score": 0.1,
                    "rank": 0,
                    "index": 0,
                    "input_tokens": 0,
                    "truncated": False,
                }
            ],
            "kind": "logit",
        },
    ),
    (
        "sie.inference.v1.ExtractResponse",
        {"items": [{"data": {"a": [1, 2.5, None, "x", {"b": True}]}}]},
        {
            "items": [
                {
                    "entities": [],
                    "relations": [],
                    "classifications": [],
                    "objects": [],
                    "data": {"a": [1, 2.5, None, "x", {"b": True}]},
                    "input_tokens": 0,
                    "truncated": False,
                }
            ]
        },
    ),
    (
        "sie.inference.v1.Entity",
        {"text": "t", "label": "l", "start": 0, "bbox": [0.1, 2]},
        {"text": "t", "label": "l", "score": 0.0, "start": 0, "bbox": [0.1, 2.0]},
    ),
    (
        "sie.inference.v1.EncodeResult",
        {
            "error": {
                "reason": "ERROR_REASON_INFERENCE_ERROR",
                "message": "no",
                "metadata": {"m": "x"},
            }
        },
        {
            "input_tokens": 0,
            "truncated": False,
            "error": {"code": "INFERENCE_ERROR", "message": "no", "metadata": {"m": "x"}},
        },
    ),
    (
        "sie.inference.v1.ModelInfo",
        {
            "name": "m",
            "inputs": ["INPUT_TYPE_TEXT"],
            "dims": {"dense": 4},
            "state": "MODEL_STATE_LOADED",
        },
        {
            "name": "m",
            "inputs": ["text"],
            "outputs": [],
            "dims": {"dense": 4},
            "max_sequence_length": 0,
            "state": "loaded",
            "loaded": False,
            "worker_count": 0,
            "workers": [],
            "bundles": [],
            "profiles": {},
            "tasks": [],
            "created": 0,
        },
    ),
    (
        "sie.registry.v1.Event",
        {"revision": 12, "commitTime": "2026-01-02T03:04:05Z", "modelDeleted": ""},
        {"revision": "12", "commit_time": "2026-01-02T03:04:05Z", "model_deleted": ""},
    ),
]


@pytest.mark.parametrize(("name", "fields", "expected"), CASES)
def test_a_message_is_rendered_by_the_rule(name, fields, expected):
    written = write(name, fields)
    assert orjson.loads(written) == expected
    assert list(orjson.loads(written)) == list(expected)


def test_a_response_body_is_the_field_alone():
    fields = {"pool": {"spec": {"name": "p"}}}
    assert orjson.loads(write("sie.pool.v1.GetPoolResponse", fields, "pool"))["spec"]["name"] == "p"


def test_an_unknown_response_body_is_refused_at_start():
    with pytest.raises(ValueError, match="has no field nope"):
        ResponseWriter(message_class(ENCODE), "nope")


def test_floats_are_written_with_their_own_digits():
    assert b'"bbox":[0.1,1e-8]' in write("sie.inference.v1.Entity", {"bbox": [0.1, 1e-8]})
    assert b'"score":0.1,' in write("sie.inference.v1.Entity", {"score": 0.1})


def vector(kind, **fields):
    cls = message_class(ENCODE)
    twin = packed_twin(cls)()
    result = twin.items.add()
    target = getattr(result, kind)
    for name, value in fields.items():
        setattr(target, name, value)
    written = ResponseWriter(cls).write(twin.SerializeToString())
    return orjson.loads(written)["items"][0][kind]


def test_a_dense_vector_shows_its_floats():
    assert vector("dense", dims=2, dtype=1, values=float32_bytes([0.1, -2])) == {
        "dims": 2,
        "dtype": "float32",
        "values": [0.1, -2.0],
    }


@pytest.mark.parametrize(
    ("dtype", "name", "array"),
    [
        (2, "float16", np.array([0.5, -1], "<f2")),
        (3, "int8", np.array([-127, 127], "i1")),
        (4, "uint8", np.array([0, 255], "u1")),
        (5, "binary", np.array([-128, 127], "i1")),
        (6, "ubinary", np.array([0, 255], "u1")),
    ],
)
def test_other_dtypes_are_read_from_data(dtype, name, array):
    rendered = vector("dense", dims=16, dtype=dtype, data=array.tobytes())
    assert (rendered["dtype"], rendered["values"]) == (name, array.tolist())


def test_the_range_of_a_quantised_vector_is_shown():
    rendered = vector("dense", dims=1, dtype=3, data=b"\x01", range_min=-0.1, range_max=0.1)
    assert (rendered["range_min"], rendered["range_max"]) == (-0.1, 0.1)


def test_a_sparse_vector_shows_indices_and_weights():
    indices = np.array([1, 7], "<i4").tobytes()
    rendered = vector("sparse", dims=9, dtype=1, indices=indices, values=float32_bytes([0.5, 2]))
    assert rendered == {"dims": 9, "dtype": "float32", "indices": [1, 7], "values": [0.5, 2.0]}


def test_token_vectors_are_rows():
    values = float32_bytes([1, 2, 3, 4])
    rendered = vector("multivector", num_tokens=2, token_dims=2, dtype=1, values=values)
    assert rendered["values"] == [[1, 2], [3, 4]]
    assert vector("multivector", num_tokens=0, token_dims=2, dtype=1)["values"] == []


def test_a_binary_token_vector_keeps_its_packed_rows():
    rendered = vector("multivector", num_tokens=2, token_dims=16, dtype=6, data=bytes([1, 2, 3, 4]))
    assert rendered["values"] == [[1, 2], [3, 4]]
