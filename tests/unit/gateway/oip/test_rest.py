"""JSON and binary bodies to messages and back."""

import contextlib
import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.oip.reply import response
from gateway.oip.rest_in import HEADER_LENGTH, read_infer
from gateway.oip.rest_out import error_response, infer_response
from gateway.oip.tensors import pack_bytes
from gateway.oip.verbs import encode
from servicekit.errors import SieError
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1.inference_service_pb2 import EncodeResponse
from tests.unit.gateway.oip.models import bytes_input

MAX = 100


def read(body, tail=None):
    head = orjson.dumps(body)
    if tail is None:
        return read_infer(head, None, MAX)
    return read_infer(head + tail, str(len(head)), MAX)


def in_json(name="text", data=("a", "b"), **more):
    return {**bytes_input(name, data), "data": list(data), **more}


def in_binary(name, raw, count):
    parameters = {"binary_data_size": len(raw)}
    return {"name": name, "datatype": "BYTES", "shape": [count], "parameters": parameters}


@pytest.mark.parametrize("data", [["a", "é"], [["a"], ["é"]]])
def test_strings_become_raw_elements(data):
    message = read({"id": "7", "inputs": [in_json(data=data)]}).message
    assert message.id == "7"
    assert list(message.raw_input_contents) == [pack_bytes([b"a", "é".encode()])]


def test_binary_tensors_follow_the_json_in_order():
    query, documents = pack_bytes([b"q"]), pack_bytes([b"a", b"b"])
    body = {"inputs": [in_binary("query", query, 1), in_binary("documents", documents, 2)]}
    assert list(read(body, query + documents).message.raw_input_contents) == [query, documents]


def test_binary_and_json_stand_side_by_side():
    documents = pack_bytes([b"a", b"b"])
    body = {"inputs": [in_json("query", ["q"]), in_binary("documents", documents, 2)]}
    raws = read(body, documents).message.raw_input_contents
    assert list(raws) == [pack_bytes([b"q"]), documents]


def test_pictures_in_json_are_base64():
    tensor = read({"inputs": [in_json("image", ["AAAA"])]}).message.inputs[0]
    assert tensor.parameters["content_type"].string_param == "base64"


def test_parameters_keep_their_types():
    parameters = {"a": True, "b": 3, "c": 0.5, "d": "x"}
    message = read({"inputs": [in_json()], "parameters": parameters}).message
    kinds = {name: each.WhichOneof("parameter_choice") for name, each in message.parameters.items()}
    assert kinds == {
        "a": "bool_param",
        "b": "int64_param",
        "c": "double_param",
        "d": "string_param",
    }


def test_which_outputs_are_binary_is_not_part_of_the_message():
    outputs = [{"name": "a", "parameters": {"binary_data": False}}, {"name": "b"}]
    body = {"inputs": [in_json()], "outputs": outputs, "parameters": {"binary_data_output": True}}
    asked = read(body)
    assert (asked.binary, asked.binary_by_default) == ({"a": False}, True)
    assert not asked.message.parameters
    assert not asked.message.outputs[0].parameters


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "body"),
        ({"inputs": {}}, "inputs"),
        ({"inputs": [5]}, "inputs[0]"),
        ({"inptus": []}, "inptus"),
        ({"id": 5, "inputs": []}, "id"),
        ({"inputs": [{"datatype": "BYTES", "shape": [1], "data": ["a"]}]}, "inputs[0].name"),
        ({"inputs": [{"name": "text", "shape": [1], "data": ["a"]}]}, "inputs[0].datatype"),
        ({"inputs": [{"name": "text", "datatype": "BYTES", "data": ["a"]}]}, "inputs[0].shape"),
        ({"inputs": [bytes_input("text", ["a"])]}, "inputs[0]"),
        ({"inputs": [in_json(extra=1)]}, "inputs[0].extra"),
        ({"inputs": [in_json(shape=[1.5])]}, "inputs[0].shape[0]"),
        ({"inputs": [in_json(shape=[2**63])]}, "inputs[0].shape[0]"),
        ({"inputs": [in_json(shape=[True])]}, "inputs[0].shape[0]"),
        ({"inputs": [in_json(shape=[3])]}, "inputs[0].data"),
        ({"inputs": [in_json(data=[1])]}, "inputs[0].data[0]"),
        ({"inputs": [in_json(data=[[["a"]]])]}, "inputs[0].data[0]"),
        ({"inputs": [in_json(data=["a"] * (MAX + 1))]}, "inputs[0].data"),
        ({"inputs": [in_json(data=[["a"] * (MAX + 1)])]}, "inputs[0].data"),
        ({"inputs": [in_json(parameters={"x": [1]})]}, "inputs[0].parameters.x"),
        ({"inputs": [in_binary("text", b"", 0)]}, "inputs[0].parameters.binary_data_size"),
        ({"inputs": [in_json()], "parameters": {"x": None}}, "parameters.x"),
        ({"inputs": [in_json()], "parameters": {"x": 2**63}}, "parameters.x"),
        (
            {"inputs": [in_json()], "parameters": {"binary_data_output": 1}},
            "parameters.binary_data_output",
        ),
        ({"inputs": [in_json()], "outputs": [{}]}, "outputs[0].name"),
        (
            {"inputs": [], "outputs": [{"name": "a", "parameters": {"binary_data": 1}}]},
            "outputs[0].parameters.binary_data",
        ),
    ],
)
def test_what_is_malformed_is_named(body, field):
    with pytest.raises(SieError) as caught:
        read(json.loads(json.dumps(body)))
    assert caught.value.metadata["field"] == field


@pytest.mark.parametrize(
    ("size", "tail"), [(8, b"1234567"), (-1, b"12345678"), (7, b"12345678"), (2**70, b"")]
)
def test_binary_sizes_match_the_body(size, tail):
    tensor = {**in_binary("text", b"", 1), "parameters": {"binary_data_size": size}}
    with pytest.raises(SieError):
        read_infer((head := json.dumps({"inputs": [tensor]}).encode()) + tail, str(len(head)), MAX)


@pytest.mark.parametrize("length", ["", "-1", "1e3", "3", "999", "9" * 50, "٣", "1٤", "1_4", " 14"])
def test_the_header_length_is_checked(length):
    with pytest.raises(SieError):
        read_infer(b'{"inputs": []}', length, MAX)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"inputs":' + b"[" * 5000, b"NaN"])
def test_bodies_that_are_no_request_are_refused_or_empty(body):
    if not body:
        assert not read_infer(body, None, MAX).message.inputs
        return
    with pytest.raises(SieError):
        read_infer(body, None, MAX)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["inputs", "name", "shape", "datatype", "data", "parameters", "outputs"]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, st.binary(max_size=8), st.none() | st.integers(-2, 300))
def test_any_body_is_read_or_refused(value, tail, length):
    body = json.dumps(value).encode() + tail
    with contextlib.suppress(SieError):
        assert read_infer(body, None if length is None else str(length), MAX).message


def reply(**asked):
    vector = {"dims": 2, "dtype": 1, "values": [0.5, 2]}
    message = EncodeResponse(items=[{"dense": vector, "input_tokens": 3}])
    tensors = encode.read(message.SerializeToString(), ["embedding", "input_tokens"])
    body = read({"id": "7", "inputs": [in_json()], **asked})
    return infer_response(response(body.message, tensors), body)


def test_outputs_stand_in_the_json():
    answer = reply()
    assert "inference-header-content-length" not in answer.headers
    assert orjson.loads(answer.body) == {
        "id": "7",
        "model_name": "",
        "model_version": "1",
        "outputs": [
            {"name": "embedding", "datatype": "FP32", "shape": [1, 2], "data": [0.5, 2.0]},
            {"name": "input_tokens", "datatype": "INT32", "shape": [1], "data": [3]},
        ],
    }


def test_binary_outputs_stand_after_the_json():
    answer = reply(outputs=[{"name": "embedding", "parameters": {"binary_data": True}}])
    length = int(answer.headers[HEADER_LENGTH])
    outputs = orjson.loads(answer.body[:length])["outputs"]
    assert outputs[0]["parameters"] == {"binary_data_size": 8}
    assert "data" not in outputs[0]
    assert outputs[1]["data"] == [3]
    assert answer.body[length:] == b"\x00\x00\x00\x3f\x00\x00\x00\x40"


def test_capacity_on_its_way_is_no_success():
    error = SieError(ErrorReason.ERROR_REASON_PROVISIONING, "soon", retry_after_s=4.2)
    answer = error_response(error, "id-1")
    assert (answer.status, orjson.loads(answer.body)) == (503, {"error": "soon"})
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["x-sie-error-code"] == "PROVISIONING"
