from pathlib import Path

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from servicekit.definition_yaml import write
from servicekit.definitions import fill, source_of
from servicekit.yaml_nodes import Place, mapping_of
from sie.registry.v1.model_pb2 import Model
from sie.registry.v1.registry_history_service_pb2 import RevisionInfo

FILE = Path("f")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
# A whole number is written without its point, and so a zero without its sign.
NUMBERS = st.floats(-1e9, 1e9).map(lambda number: number + 0.0)
JSON = st.recursive(
    st.none() | st.booleans() | TEXT | st.integers(-(2**40), 2**40) | NUMBERS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXT, below, max_size=3),
    max_leaves=6,
)
PROFILES = st.fixed_dictionaries(
    {},
    optional={
        "extends": TEXT,
        "pooling": st.sampled_from(["POOLING_MEAN", "POOLING_CLS"]),
        "normalize": st.booleans(),
        "query_prompt": TEXT,
        "output_types": st.lists(st.sampled_from(["OUTPUT_TYPE_DENSE", "OUTPUT_TYPE_SPARSE"])),
        "options": st.dictionaries(TEXT, JSON, max_size=3),
    },
)
MODELS = st.fixed_dictionaries(
    {"model_id": TEXT},
    optional={
        "sources": st.lists(st.fixed_dictionaries({"directory": TEXT}), max_size=2),
        "tasks": st.just({"score": {}, "encode": {"dense": {"dims": 3}}}),
        "max_sequence_length": st.integers(0, 2**32 - 1),
        "profiles": st.dictionaries(TEXT, PROFILES, max_size=3),
    },
)


@given(MODELS)
def test_what_is_written_reads_back_the_same(fields):
    model, again = json_format.ParseDict(fields, Model()), Model()
    fill(again, mapping_of(write(model), FILE), Place(FILE))
    assert again == model


def test_times_are_written_as_json_says_them():
    info = RevisionInfo()
    info.commit_time.FromJsonString("2026-01-01T00:00:00Z")
    assert write(info) == "commit_time: '2026-01-01T00:00:00Z'\n"


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("profiles[default].extends", 4),
        ("profiles[default].extends.more", 4),
        ("profiles[default].pooling", 3),
        ("profiles[gone]", 2),
        ("bundles[1]", 6),
        ("sources", 1),
        ("", 1),
    ],
)
def test_a_problem_is_told_at_the_line_of_the_nearest_field(field, line):
    text = "model_id: a\nprofiles:\n  default:\n    extends: x\nbundles: [a,\n  b]\n"
    source = source_of(mapping_of(text, FILE), FILE, Model)
    assert source.error(field, "bad").line == line
