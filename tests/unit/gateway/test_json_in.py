"""Every rule of strict JSON reading, with the path that its error names."""

import base64

import orjson
import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.transcoder.binding import Binding
from gateway.transcoder.json_in import reader
from gateway.transcoder.reading import FieldError
from gateway.transcoder.routes import RouteTable, routes_of
from servicekit.errors import SieError
from tests.unit.gateway.support import message_class


def read(name, value):
    message = message_class(name)()
    reader(message.DESCRIPTOR)(message, value)
    return message


ENCODE = "sie.inference.v1.EncodeRequest"
SOURCE = "sie.registry.v1.ModelSource"
POOL = "sie.pool.v1.CreatePoolRequest"
ENTITY = "sie.inference.v1.Entity"
EVENT = "sie.registry.v1.Event"

MISTAKES = [
    (ENCODE, [], "", "expected an object, got a list"),
    (ENCODE, "x", "", "expected an object, got a string"),
    (ENCODE, {"itms": []}, "itms", "unknown field; did you mean items?"),
    (ENCODE, {"zzz": 1}, "zzz", "unknown field"),
    (ENCODE, {"model": 3}, "model", "expected a string, got a number"),
    (ENCODE, {"model": True}, "model", "expected a string, got a boolean"),
    (ENCODE, {"items": {}}, "items", "expected a list, got an object"),
    (ENCODE, {"items": [None]}, "items[0]", "expected an object, got null"),
    (ENCODE, {"items": [{}, "a"]}, "items[1]", "expected an object, got a string"),
    (
        ENCODE,
        {"items": [{}, {}, {}, {"text": 1}]},
        "items[3].text",
        "expected a string, got a number",
    ),
    (
        ENCODE,
        {"items": [{"images": [{"data": "*"}]}]},
        "items[0].images[0].data",
        "expected base64",
    ),
    (
        ENCODE,
        {"items": [{"images": [{"data": "a"}]}]},
        "items[0].images[0].data",
        "expected base64",
    ),
    (
        ENCODE,
        {"items": [{"images": [{"data": "é"}]}]},
        "items[0].images[0].data",
        "expected base64",
    ),
    (ENCODE, {"items": [{"metadata": {"a": {"b": [1, {"c": object}]}}}]}, None, None),
    (
        ENCODE,
        {"items": [{"metadata": {"a": [1, b"x"]}}]},
        "items[0].metadata.a[1]",
        "expected a value that JSON has",
    ),
    (
        ENCODE,
        {"items": [{"metadata": {"a": float("nan")}}]},
        "items[0].metadata.a",
        "expected a value that JSON has",
    ),
    (
        ENCODE,
        {"params": {"output_dtype": 2**32}},
        "params.output_dtype",
        "expected one of float32, float16, int8, uint8, binary, ubinary, got a number",
    ),
    (
        ENCODE,
        {"params": {"output_dtype": "float"}},
        "params.output_dtype",
        "expected one of float32, float16, int8, uint8, binary, ubinary",
    ),
    (
        ENCODE,
        {"params": {"output_dtype": 99}},
        "params.output_dtype",
        "expected one of float32, float16, int8, uint8, binary, ubinary, got a number",
    ),
    (
        ENCODE,
        {"params": {"output_types": ["dense", "x"]}},
        "params.output_types[1]",
        "expected one of dense, sparse, multivector",
    ),
    (
        ENCODE,
        {"params": {"output_types": [True]}},
        "params.output_types[0]",
        "expected one of dense, sparse, multivector, got a boolean",
    ),
    (
        ENCODE,
        {"params": {"outputTypes": [], "output_types": []}},
        "params.output_types",
        "given twice, also as outputTypes",
    ),
    (
        ENCODE,
        {"params": {"dimensions": -1}},
        "params.dimensions",
        "out of range, from 0 to 4294967295",
    ),
    (
        ENCODE,
        {"params": {"dimensions": 2**32}},
        "params.dimensions",
        "out of range, from 0 to 4294967295",
    ),
    (
        ENCODE,
        {"params": {"dimensions": 1.5}},
        "params.dimensions",
        "expected an integer, got a fraction",
    ),
    (
        ENCODE,
        {"params": {"dimensions": "x"}},
        "params.dimensions",
        "expected an integer, got a string",
    ),
    (
        ENCODE,
        {"params": {"dimensions": False}},
        "params.dimensions",
        "expected an integer, got a boolean",
    ),
    (
        ENCODE,
        {"params": {"is_query": "true"}},
        "params.is_query",
        "expected a boolean, got a string",
    ),
    (ENCODE, {"params": {"options": [1]}}, "params.options", "expected an object, got a list"),
    (
        ENCODE,
        {"items": [{"multivector": {"values": [[1, 2], [3]]}}]},
        "items[0].multivector.values[1]",
        "rows differ in length",
    ),
    (
        ENCODE,
        {"items": [{"multivector": {"values": [[1, "2"]]}}]},
        "items[0].multivector.values[0]",
        "expected a list of numbers",
    ),
    (
        ENCODE,
        {"items": [{"multivector": {"values": [[1e39]]}}]},
        "items[0].multivector.values",
        "out of range of float32",
    ),
    (
        ENCODE,
        {"items": [{"multivector": {"values": [[1]], "num_tokens": 2}}]},
        "items[0].multivector.num_tokens",
        "the values have 1",
    ),
    (POOL, {"gpus": {"l4": "x"}}, "gpus.l4", "expected an integer, got a string"),
    (POOL, {"gpus": []}, "gpus", "expected an object, got a list"),
    (
        SOURCE,
        {"directory": "/a", "url": "s3://b"},
        "url",
        "only one may be given of directory, python_package, hugging_face, url",
    ),
    (ENTITY, {"bbox": [1, 2, "x"]}, "bbox[2]", "expected a number, got a string"),
    (ENTITY, {"bbox": [1, True]}, "bbox[1]", "expected a number, got a boolean"),
    (ENTITY, {"bbox": [1e39]}, "bbox[0]", "out of range, at most 3.4028235e+38"),
    (ENTITY, {"score": "NaN"}, "score", "expected a number, got a string"),
    (ENTITY, {"score": 1e39}, "score", "out of range, at most 3.4028235e+38"),
    (EVENT, {"revision": 2**64}, "revision", "out of range, from 0 to 18446744073709551615"),
    (EVENT, {"commit_time": 5}, "commit_time", "expected a string, got a number"),
]


@pytest.mark.parametrize(("name", "value", "path", "problem"), [m for m in MISTAKES if m[3]])
def test_a_mistake_is_named_with_its_path(name, value, path, problem):
    with pytest.raises(FieldError) as caught:
        read(name, value)
    assert (caught.value.path, caught.value.problem) == (path, problem)


def test_a_bad_timestamp_is_named():
    with pytest.raises(FieldError) as caught:
        read(EVENT, {"commit_time": "yesterday"})
    assert caught.value.path == "commit_time"


def test_options_may_not_nest_deeper_than_a_parser_follows():
    deep = 1
    for _ in range(40):
        deep = {"a": deep}
    with pytest.raises(FieldError, match="nested deeper"):
        read(ENCODE, {"params": {"options": deep}})
    shallow = 1
    for _ in range(24):
        shallow = {"a": shallow}
    message = read(ENCODE, {"items": [{"metadata": shallow}]})
    assert message.FromString(message.SerializeToString()) == message


def test_null_is_absent_but_a_value_in_a_struct():
    message = read(ENCODE, {"model": None, "params": {"options": {"a": None}}})
    assert message.model == ""
    assert message.params.options.fields["a"].HasField("null_value")


def test_an_empty_text_is_set():
    assert read(ENCODE, {"items": [{"text": ""}]}).items[0].HasField("text")


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("padding", ["=", ""])
def test_both_alphabets_of_base64_are_read(encode, padding):
    data = bytes(range(256)) + b"\xff"
    text = encode(data).decode().rstrip("=")
    text += padding * (-len(text) % 4)
    assert read("sie.inference.v1.Image", {"data": text}).data == data


def test_enums_are_read_by_word_full_name_and_number():
    for value in ("float16", "DATA_TYPE_FLOAT16", 2):
        assert read(ENCODE, {"params": {"output_dtype": value}}).params.output_dtype == 2


def test_token_vectors_are_read_as_they_are_written():
    value = {"num_tokens": 2, "token_dims": 3, "dtype": "float32", "values": [[1, 2, 3], [4, 5, 6]]}
    vectors = read("sie.inference.v1.Item", {"multivector": value}).multivector
    assert (vectors.num_tokens, vectors.token_dims) == (2, 3)
    assert list(vectors.values) == [1, 2, 3, 4, 5, 6]


def binding(api, method, path):
    table = RouteTable(
        route for endpoint in api.endpoints.values() for route in routes_of(endpoint)
    )
    match = table.find(method, path)
    return lambda query=b"", body=b"": Binding(match.route).read(
        match.captured, query.decode() if isinstance(query, bytes) else query, body
    )


def test_path_query_and_body_are_bound(api):
    assert binding(api, "POST", "/v1/encode/a%20b/c")("", b"").model == "a b/c"
    assert binding(api, "GET", "/v1/models")("page_size=3&pageToken=a%20b").page_size == 3
    assert binding(api, "POST", "/v1/encode/a")("", b'{"model":"a"}').model == "a"
    request = binding(api, "DELETE", "/v1/configs/models/a/b")("expected_revision=7")
    assert (request.model_id, request.expected_revision) == ("a/b", 7)


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "field"),
    [
        ("POST", "/v1/encode/a", "", b'{"model":"b"}', "model"),
        ("POST", "/v1/encode/a", "x=1", b"", "query"),
        ("POST", "/v1/encode/a", "", b"{", "body"),
        ("POST", "/v1/encode/a", "", b"[]", "body"),
        ("POST", "/v1/encode/a", "", b"null", "body"),
        ("POST", "/v1/encode/a", "", b"\xff", "body"),
        ("GET", "/v1/models", "page_size=x", b"", "page_size"),
        ("GET", "/v1/models", "page_size=1&pageSize=2", b"", "page_size"),
        ("GET", "/v1/models", "nope=1", b"", "nope"),
        ("GET", "/v1/models", "page_size.x=1", b"", "page_size.x"),
        ("GET", "/v1/models", "page_token=%ff", b"", "query"),
        ("GET", "/v1/models", "", b'{"page_size":1}', "body"),
        ("GET", "/v1/models/a", "model=b", b"", "model"),
    ],
)
def test_a_binding_mistake_names_the_field(api, method, path, query, body, field):
    with pytest.raises(SieError) as caught:
        binding(api, method, path)(query, body)
    assert caught.value.metadata["field"] == field


def test_broken_json_names_its_place(api):
    with pytest.raises(SieError, match="line 2, column 3"):
        binding(api, "POST", "/v1/encode/a")("", b"{\n  x")


texts = st.text(max_size=8)
floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | texts | st.integers(-(2**53), 2**53) | floats,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
structs = st.dictionaries(texts, json_values, max_size=3)
items = st.fixed_dictionaries(
    {},
    optional={
        "id": texts,
        "text": texts,
        "images": st.lists(
            st.builds(lambda data: {"data": base64.b64encode(data).decode()}, st.binary(max_size=9))
        ),
        "metadata": structs,
    },
)
profiles = st.fixed_dictionaries(
    {},
    optional={
        "extends": texts,
        "precision": st.sampled_from(["PRECISION_FLOAT16", 0, 1, "PRECISION_UNSPECIFIED"]),
        "maxBatchTokens": st.integers(0, 2**32 - 1) | st.integers(0, 9).map(str),
        "normalize": st.booleans() | st.none(),
        "query_prompt": texts,
        "outputTypes": st.lists(st.sampled_from(["OUTPUT_TYPE_DENSE", "OUTPUT_TYPE_SPARSE"])),
        "options": structs,
    },
)
CASES = st.one_of(
    st.tuples(
        st.just(ENCODE),
        st.fixed_dictionaries({}, optional={"model": texts, "items": st.lists(items, max_size=3)}),
    ),
    st.tuples(
        st.just("sie.registry.v1.Model"),
        st.fixed_dictionaries(
            {},
            optional={
                "modelId": texts,
                "profiles": st.dictionaries(texts, profiles, max_size=2),
                "tasks": st.just({"encode": {"dense": {"dims": 4}}}),
                "bundles": st.lists(texts, max_size=2),
                "sources": st.lists(
                    st.sampled_from([{"directory": "/a"}, {"huggingFace": {"repo": "r"}}, {}])
                ),
            },
        ),
    ),
    st.tuples(
        st.just(ENTITY),
        st.fixed_dictionaries(
            {}, optional={"score": floats, "start": st.integers(0, 9), "bbox": st.lists(floats)}
        ),
    ),
    st.tuples(
        st.just("sie.errors.v1.Error"),
        st.fixed_dictionaries(
            {},
            optional={
                "reason": st.just("ERROR_REASON_INVALID_INPUT"),
                "metadata": st.dictionaries(texts, texts, max_size=2),
                "retryAfter": st.sampled_from(["1.5s", "0s", "-3.000000001s"]),
            },
        ),
    ),
)


@settings(max_examples=300)
@given(CASES)
def test_proto_json_is_read_as_the_library_reads_it(case):
    name, value = case
    value = orjson.loads(orjson.dumps(value))
    assert read(name, value) == json_format.ParseDict(value, message_class(name)())
