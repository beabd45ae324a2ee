import pytest
from google.protobuf import json_format

from servicekit.profiles import MAX_DEPTH, Conflict, conflict, resolve
from sie.registry.v1.model_pb2 import Model, Profile


def model(**profiles):
    return json_format.ParseDict({"profiles": profiles}, Model())


def test_a_chain_is_merged_from_its_far_end():
    found = resolve(
        model(
            default={"query_prompt": "q: ", "document_prompt": "d: ", "max_batch_tokens": 9},
            near={"extends": "default", "query_prompt": "", "truncate": "TRUNCATE_RIGHT"},
            mine={"extends": "near", "document_prompt": "m: "},
        ),
        "mine",
    )
    assert not found.extends
    assert found.HasField("query_prompt")
    assert (found.query_prompt, found.document_prompt) == ("", "m: ")
    assert found.max_batch_tokens == 9


def test_lists_are_replaced_and_options_merged():
    dense, sparse = "OUTPUT_TYPE_DENSE", "OUTPUT_TYPE_SPARSE"
    found = resolve(
        model(
            default={"output_types": [dense, sparse], "options": {"a": 1, "b": [1, 2]}},
            mine={"extends": "default", "output_types": [sparse], "options": {"b": [3]}},
            same={"extends": "default"},
        ),
        "mine",
    )
    assert list(found.output_types) == [2]
    assert json_format.MessageToDict(found.options) == {"a": 1, "b": [3]}


def test_a_profile_that_is_not_there_says_nothing():
    assert resolve(model(), "gone") == Profile()


def test_the_longest_chain_and_one_more():
    profiles = {"p0": {}, **{f"p{i}": {"extends": f"p{i - 1}"} for i in range(1, MAX_DEPTH + 1)}}
    resolve(model(**profiles), f"p{MAX_DEPTH - 1}")
    with pytest.raises(ValueError, match="more than"):
        resolve(model(**profiles), f"p{MAX_DEPTH}")


@pytest.mark.parametrize(
    ("profiles", "problem"),
    [
        ({"a": {"extends": "a"}}, "a -> a"),
        ({"a": {"extends": "b"}, "b": {"extends": "c"}, "c": {"extends": "b"}}, "b -> c -> b"),
        ({"a": {"extends": "b"}, "b": {"extends": "x"}}, "'x'"),
    ],
)
def test_chains_that_end_nowhere_are_refused(profiles, problem):
    with pytest.raises(ValueError, match=problem):
        resolve(model(**profiles), "a")


def test_what_the_graph_depends_on_may_be_inherited_and_not_changed():
    default = {"precision": "PRECISION_FLOAT16", "normalize": False}
    assert conflict(model(default=default, a={"extends": "default"}, b={})) is None
    other = {"extends": "default", "normalize": True}
    assert conflict(model(default=default, a=other)) == Conflict("a", "normalize")
