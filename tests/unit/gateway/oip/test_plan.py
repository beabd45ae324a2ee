"""From a request of tensors to a request of a verb."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.oip.plan import in_terms_of_tensors, plan
from servicekit.errors import SieError, code_of, invalid
from sie.inference.v1.inference_service_pb2 import EncodeRequest, ExtractRequest, ScoreRequest
from sie.oip.open_inference_pb2 import InferParameter, ModelInferRequest
from tests.unit.gateway.oip.models import ALL, BOTH, CLIP, DENSE, NER, RERANKER, asking

MAX = 100
PNG = b"\x89PNG"


def planned(model, **request):
    return plan(asking(**request), model, MAX)


def refused(request, model):
    with pytest.raises(SieError) as caught:
        plan(request, model, MAX)
    assert str(caught.value).startswith(code_of(caught.value.reason))
    assert caught.value.message.startswith(caught.value.metadata["field"])
    return caught.value.metadata["field"]


@pytest.mark.parametrize("raw", [True, False])
def test_texts_become_items(raw):
    made = planned(DENSE, text=[b"a", "é".encode(), b""], raw=raw)
    items = [{"text": "a"}, {"text": "é"}, {"text": ""}]
    dense = ["OUTPUT_TYPE_DENSE"]
    expected = EncodeRequest(model="m", items=items, params={"output_types": dense})
    assert made.asked.message == expected
    assert made.wanted == ["embedding", "input_tokens", "truncated"]
    assert made.timeout_s is None


def test_pictures_become_items():
    made = planned(CLIP, image=[PNG])
    assert made.asked.message.items[0].images[0].data == PNG


def test_only_what_is_asked_for_is_computed():
    made = planned(ALL, text=[b"a"], outputs=["truncated", "sparse_values", "sparse_offsets"])
    assert made.asked.message.params.output_types == [2]
    assert made.wanted == ["truncated", "sparse_values", "sparse_offsets"]


def test_without_outputs_all_are_given():
    made = planned(ALL, text=[b"a"])
    assert made.asked.message.params.output_types == [1, 2, 3]


def test_parameters_are_fields_of_encode():
    parameters = {
        "output_dtype": "uint8",
        "instruction": "find",
        "is_query": True,
        "dimensions": 1,
        "truncate": "left",
        "profile": "default",
        "options.x": 2.5,
    }
    made = planned(DENSE, text=[b"a"], parameters=parameters, outputs=["embedding_range"])
    params = made.asked.message.params
    assert (params.output_dtype, params.instruction, params.is_query) == (4, "find", True)
    assert (params.dimensions, params.truncate, params.profile) == (1, 2, "default")
    assert params.options["x"] == 2.5


def test_a_query_and_documents_are_scored():
    made = planned(DENSE, query=[b"q"], documents=[b"a", b"b"], parameters={"truncate": "none"})
    expected = ScoreRequest(
        model="m", query={"text": "q"}, items=[{"text": "a"}, {"text": "b"}], truncate=3
    )
    assert made.asked.message == expected


def test_pictures_are_scored_by_a_text():
    message = planned(CLIP, query=[b"q"], document_images=[PNG]).asked.message
    assert (message.query.text, message.items[0].images[0].data) == ("q", PNG)


@pytest.mark.parametrize("labels", ["person, place", '["person", "place"]'])
def test_labels_are_listed_in_one_string(labels):
    made = planned(NER, text=[b"a"], parameters={"labels": labels, "threshold": 0.5})
    expected = ExtractRequest(
        model="m",
        items=[{"text": "a"}],
        params={"labels": ["person", "place"], "threshold": 0.5},
    )
    assert made.asked.message == expected


def test_outputs_choose_between_verbs_that_take_the_same_inputs():
    assert planned(BOTH, text=[b"a"]).verb.NAME == "encode"
    assert planned(BOTH, text=[b"a"], outputs=["entities"]).verb.NAME == "extract"


def test_base64_elements_are_decoded():
    request = asking(image=[b"iVBORw=="])
    request.inputs[0].parameters["content_type"].string_param = "base64"
    assert plan(request, CLIP, MAX).asked.message.items[0].images[0].data == PNG


def test_a_timeout_is_in_microseconds():
    assert planned(DENSE, text=[b"a"], parameters={"timeout": 1_500_000}).timeout_s == 1.5
    assert planned(DENSE, text=[b"a"], parameters={"timeout": 0}).timeout_s is None


@pytest.mark.parametrize(
    ("model", "request_", "field"),
    [
        (DENSE, {}, "inputs"),
        (DENSE, {"image": [PNG]}, "inputs[0].name"),
        (DENSE, {"text": [b"a"], "query": [b"a"]}, "inputs"),
        (DENSE, {"query": [b"a"]}, "inputs"),
        (CLIP, {"text": [b"a"], "image": [PNG]}, "inputs"),
        (RERANKER, {"text": [b"a"]}, "inputs[0].name"),
        (RERANKER, {"query": [b"a", b"b"], "documents": [b"c"]}, "query"),
        (DENSE, {"text": [b"a", b"\xff"]}, "text[1]"),
        (DENSE, {"text": [b"a"] * (MAX + 1)}, "inputs[0].shape"),
        (DENSE, {"text": [b"a"], "outputs": ["sparse_values"]}, "outputs[0].name"),
        (DENSE, {"text": [b"a"], "outputs": ["embedding_range"]}, "outputs[0].name"),
        (DENSE, {"text": [b"a"], "outputs": ["embedding", "embedding"]}, "outputs[1].name"),
        (DENSE, {"text": [b"a"], "parameters": {"x": 1}}, "parameters.x"),
        (
            DENSE,
            {"text": [b"a"], "parameters": {"output_types": "dense"}},
            "parameters.output_types",
        ),
        (DENSE, {"text": [b"a"], "parameters": {"options": "x"}}, "parameters.options"),
        (DENSE, {"text": [b"a"], "parameters": {"dimensions": -1}}, "parameters.dimensions"),
        (DENSE, {"text": [b"a"], "parameters": {"dimensions": True}}, "parameters.dimensions"),
        (DENSE, {"text": [b"a"], "parameters": {"truncate": "up"}}, "parameters.truncate"),
        (DENSE, {"text": [b"a"], "parameters": {"profile": 5}}, "parameters.profile"),
        (DENSE, {"text": [b"a"], "parameters": {"timeout": -1}}, "parameters.timeout"),
        (DENSE, {"text": [b"a"], "parameters": {"timeout": 1.5}}, "parameters.timeout"),
        (NER, {"text": [b"a"], "parameters": {"labels": "[1]"}}, "parameters.labels"),
        (NER, {"text": [b"a"], "parameters": {"labels": "[" * 9999}}, "parameters.labels"),
        (NER, {"text": [b"a"], "parameters": {"labels": 5}}, "parameters.labels"),
        (NER, {"text": [b"a"], "parameters": {"threshold": float("nan")}}, "parameters.threshold"),
    ],
)
def test_what_is_refused_is_named(model, request_, field):
    assert refused(asking(**request_), model) == field


def changed(**inputs):
    """A good request, of which the first input is changed."""
    request = asking(text=[b"ab"])
    for name, value in inputs.items():
        if name == "shape":
            request.inputs[0].shape[:] = value
        else:
            setattr(request.inputs[0], name, value)
    return request


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"datatype": "FP32"}, "inputs[0].datatype"),
        ({"datatype": ""}, "inputs[0].datatype"),
        ({"shape": [2]}, "inputs[0]"),
        ({"shape": [-1]}, "inputs[0].shape"),
        ({"shape": [1, 2]}, "inputs[0].shape"),
        ({"shape": [2**62, 2**62]}, "inputs[0].shape"),
        ({"shape": [2**62]}, "inputs[0].shape"),
        ({"name": "x" * 10_000}, "inputs[0].name"),
    ],
)
def test_a_malformed_input_is_named(change, field):
    assert refused(changed(**change), DENSE) == field


def test_raw_and_typed_contents_exclude_each_other():
    request = asking(text=[b"a"])
    request.inputs[0].contents.bytes_contents.append(b"a")
    assert refused(request, DENSE) == "inputs[0].contents"


def test_raw_contents_are_one_for_each_input():
    request = asking(query=[b"a"], documents=[b"b"])
    del request.raw_input_contents[1:]
    assert refused(request, DENSE) == "raw_input_contents"


def test_contents_of_another_type_are_refused():
    request = asking(text=[b"a"], raw=False)
    request.inputs[0].contents.fp32_contents.append(1)
    assert refused(request, DENSE) == "inputs[0].contents.fp32_contents"


def test_typed_contents_have_as_many_elements_as_their_shape():
    request = asking(text=[b"a"], raw=False)
    request.inputs[0].contents.bytes_contents.append(b"b")
    assert refused(request, DENSE) == "inputs[0].contents.bytes_contents"


def test_an_input_is_given_once():
    request = asking(text=[b"a"], raw=False)
    request.inputs.add().CopyFrom(request.inputs[0])
    assert refused(request, DENSE) == "inputs[1].name"


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("shared_memory_region", "r", "inputs[0].parameters.shared_memory_region"),
        ("content_type", "np", "inputs[0].parameters.content_type"),
    ],
)
def test_parameters_of_inputs_are_known(name, value, field):
    request = asking(text=[b"a"])
    request.inputs[0].parameters[name].string_param = value
    assert refused(request, DENSE) == field


def test_parameters_of_outputs_are_unknown():
    request = asking(text=[b"a"], outputs=["embedding"])
    request.outputs[0].parameters["classification"].int64_param = 3
    assert refused(request, DENSE) == "outputs[0].parameters.classification"


def test_a_parameter_has_a_value():
    request = asking(text=[b"a"])
    request.parameters["is_query"].SetInParent()
    assert refused(request, DENSE) == "parameters.is_query"


@pytest.mark.parametrize(
    ("field", "named"),
    [
        ("items[3].text", "documents[3]"),
        ("items", "documents"),
        ("items[0]", "documents[0]"),
        ("query.text", "query"),
        ("params.dimensions", "parameters.dimensions"),
        ("truncate", "parameters.truncate"),
        ("options.x", "parameters.options.x"),
        ("model", "model"),
    ],
)
def test_errors_of_the_verbs_name_what_the_caller_sent(field, named):
    asked = planned(DENSE, query=[b"q"], documents=[b"a"]).asked
    error = in_terms_of_tensors(invalid(field, "is wrong"), asked)
    assert (error.metadata["field"], error.message) == (named, f"{named}: is wrong")


NAMES = st.sampled_from(["text", "query", "documents", "embedding", "scores", "x", ""])
SIZES = st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 3)
TENSORS = st.lists(
    st.fixed_dictionaries(
        {
            "name": NAMES,
            "datatype": st.sampled_from(["BYTES", "FP32", ""]),
            "shape": st.lists(SIZES, max_size=3),
            "contents": st.fixed_dictionaries({"bytes_contents": st.lists(st.binary(), max_size=3)})
            | st.none(),
        }
    ),
    max_size=3,
)
PARAMETER_NAMES = st.sampled_from(["truncate", "dimensions", "profile", "options.x", "timeout"])
PARAMETERS = st.dictionaries(
    PARAMETER_NAMES | st.text(max_size=5),
    st.fixed_dictionaries({"string_param": st.text(max_size=5)})
    | st.fixed_dictionaries({"double_param": st.floats()})
    | st.fixed_dictionaries({"uint64_param": st.integers(0, 2**64 - 1)})
    | st.just({}),
    max_size=3,
)
REQUESTS = st.fixed_dictionaries(
    {
        "inputs": TENSORS,
        "outputs": st.lists(st.fixed_dictionaries({"name": NAMES}), max_size=2),
        "parameters": PARAMETERS,
        "raw_input_contents": st.lists(st.binary(max_size=20), max_size=3),
    }
)


@given(REQUESTS)
def test_any_request_has_a_plan_or_a_typed_error(fields):
    request = ModelInferRequest(
        inputs=fields["inputs"],
        outputs=fields["outputs"],
        raw_input_contents=fields["raw_input_contents"],
    )
    for name, value in fields["parameters"].items():
        request.parameters[name].MergeFrom(InferParameter(**value))
    with contextlib.suppress(SieError):
        assert plan(request, ALL, MAX).wanted
