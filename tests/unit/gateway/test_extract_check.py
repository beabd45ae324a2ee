"""What an Extract request must be, before a worker sees it."""

import pytest
from google.protobuf import json_format

from gateway.verbs import extract
from servicekit.errors import SieError, code_of
from servicekit.packed import packed_twin
from sie.errors.v1.error_pb2 import Error
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1.inference_service_pb2 import ExtractRequest, ExtractResponse
from sie.inference.v1.item_pb2 import Item
from sie.inference.v1.result_pb2 import Timing
from sie.registry.v1.model_pb2 import Model
from sie.work.v1.work_result_pb2 import WorkResult

MODEL = json_format.ParseDict({"model_id": "m", "tasks": {"extract": {}}}, Model())
KNOWING = json_format.ParseDict(
    {"model_id": "m", "tasks": {"extract": {"labels": ["PER", "LOC"]}}}, Model()
)
PackedWorkResult = packed_twin(WorkResult, opaque=("encode", "score", "extract"))


def check(params, model=MODEL):
    body = {"items": [{"text": "a"}], "params": params}
    extract.check(json_format.ParseDict(body, ExtractRequest()), model, max_items=4)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"threshold": 2}, "params.threshold"),
        ({"threshold": -0.1}, "params.threshold"),
        ({"threshold": "NaN"}, "params.threshold"),
        ({"labels": ["a", " "]}, "params.labels[1]"),
        ({"labels": ["a", "b", "a"]}, "params.labels[2]"),
        ({"labels": ["a" * 257]}, "params.labels[0]"),
        ({"labels": [str(n) for n in range(10_000)]}, "params.labels"),
        ({"profile": "p"}, "params.profile"),
        ({"instruction": "i"}, "params.instruction"),
        ({"output_schema": {}}, "params.output_schema"),
        ({"options": {"agregation": "max"}}, "params.options.agregation"),
        ({"options": {"aggregation": "min"}}, "params.options.aggregation"),
        ({"options": {"multi_label": 1}}, "params.options.multi_label"),
        ({"options": {"flat_ner": "yes"}}, "params.options.flat_ner"),
        ({"options": {"hypothesis_template": "It is."}}, "params.options.hypothesis_template"),
        ({"options": {"hypothesis_template": "{} {}"}}, "params.options.hypothesis_template"),
    ],
)
def test_a_refusal_names_its_field(params, field):
    with pytest.raises(SieError) as caught:
        check(params)
    assert code_of(caught.value.reason) == "INVALID_INPUT"
    assert caught.value.metadata["field"] == field


def test_what_is_well_formed_passes():
    check({})
    check({"labels": ["person"], "threshold": 0, "options": {"aggregation": "max"}})
    check({"threshold": 1, "options": {"hypothesis_template": "About {}.", "flat_ner": False}})
    check({"labels": ["LOC"]}, KNOWING)


def test_a_label_outside_those_declared_is_refused():
    with pytest.raises(SieError, match=r"params.labels\[0\].*PER, LOC"):
        check({"labels": ["ORG"]}, KNOWING)


def test_a_model_that_does_not_extract_says_so():
    encoder = json_format.ParseDict(
        {"model_id": "e", "tasks": {"encode": {"dense": {"dims": 2}}}}, Model()
    )
    with pytest.raises(SieError, match="UNSUPPORTED_OUTPUT: model 'e' does not extract"):
        check({}, encoder)


def test_items_of_a_failed_chunk_are_named_by_their_place():
    error = Error(reason=ErrorReason.ERROR_REASON_INVALID_INPUT, message="no")
    sent = WorkResult(first_item=1, item_count=2, error=error)
    request = ExtractRequest(items=[Item(id="a"), Item(id="b"), Item()])
    found = extract.join(request, [PackedWorkResult.FromString(sent.SerializeToString())], Timing())
    results = ExtractResponse.FromString(found).items
    assert [(result.id, result.error) for result in results] == [("b", error), ("item-2", error)]
