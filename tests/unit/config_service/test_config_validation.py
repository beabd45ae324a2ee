import pytest
from google.protobuf import text_format

from config_service.validation import MAX_DEFINITION_BYTES, validate
from servicekit.errors import SieError
from servicekit.registry_state import RegistryState
from sie.registry.v1.bundle_pb2 import Bundle
from sie.registry.v1.machine_profile_pb2 import MachineProfile
from sie.registry.v1.model_pb2 import Model

GOOD = f"""
model_id: "org/name-1.0"
sources {{
  hugging_face {{ repo: "org/name" revision: "{"a" * 40}" }}
  sha256 {{ key: "w.bin" value: "{"0" * 64}" }}
}}
tasks {{ encode {{ dense {{ dims: 4 }} }} }}
"""


def problem_of(definition):
    state = RegistryState()
    state.bundles["default"] = Bundle(bundle_id="default")
    try:
        validate(definition, state)
    except SieError as error:
        return error.metadata["field"]
    return None


def model(extra="", text=GOOD):
    return text_format.Merge(extra, text_format.Parse(text, Model()))


def test_a_good_model_is_taken():
    assert problem_of(model()) is None


@pytest.mark.parametrize(
    "model_id", ["", "x" * 129, "-a", "a//b", "a/../b", "a/", "a b", "ä", "a\n", "a:b"]
)
def test_a_model_id_keeps_its_grammar(model_id):
    definition = model()
    definition.model_id = model_id
    assert problem_of(definition) == "model.model_id"


def test_a_model_id_may_have_128_characters():
    definition = model()
    definition.model_id = "x" * 128
    assert problem_of(definition) is None


@pytest.mark.parametrize(
    ("source", "field"),
    [
        ("", "model.sources[1]"),
        ('directory: "models/a"', "model.sources[1].directory"),
        ('directory: "/models/../etc"', "model.sources[1].directory"),
        ('url: "ftp://host/a"', "model.sources[1].url"),
        ('url: "https://user@host/a"', "model.sources[1].url"),
        ('url: "https://host/a"', "model.sources[1].sha256"),
        ('url: "s3://bucket"', "model.sources[1].url"),
        ('python_package { package: "a-b" }', "model.sources[1].python_package.package"),
        ('python_package { package: "a" path: "../b" }', "model.sources[1].python_package.path"),
        ('hugging_face { repo: "name" }', "model.sources[1].hugging_face.repo"),
        ('hugging_face { repo: "o/n" revision: "main" }', "model.sources[1].hugging_face.revision"),
        ('directory: "/a" sha256 { key: "f" value: "12" }', "model.sources[1].sha256[f]"),
        ('directory: "/a" sha256 { key: "../f" value: "12" }', "model.sources[1].sha256"),
    ],
)
def test_a_source_names_one_place_that_can_be_read_safely(source, field):
    assert problem_of(model(f"sources {{ {source} }}")) == field


@pytest.mark.parametrize(
    ("extra", "field"),
    [
        ("inputs: INPUT_TYPE_UNSPECIFIED", "model.inputs"),
        ("inputs: [INPUT_TYPE_TEXT, INPUT_TYPE_TEXT]", "model.inputs"),
        ("tasks { encode { sparse {} } }", "model.tasks.encode.sparse.dims"),
        ('tasks { extract { labels: ["a", "a"] } }', "model.tasks.extract.labels"),
        ('bundles: "nowhere"', "model.bundles[0]"),
        ('bundles: ["default", "default"]', "model.bundles"),
        ('profiles { key: "fast" value {} }', "model.profiles"),
        (
            'profiles { key: "default" value { extends: "default" } }',
            "model.profiles[default].extends",
        ),
        (
            'profiles { key: "default" value { extends: "gone" } }',
            "model.profiles[default].extends",
        ),
        (
            """
            profiles { key: "default" value {} }
            profiles { key: "b" value { extends: "c" } }
            profiles { key: "c" value { extends: "b" } }
            """,
            "model.profiles[b].extends",
        ),
        (
            """
            profiles { key: "default" value { pooling: POOLING_MEAN } }
            profiles { key: "b" value { extends: "default" pooling: POOLING_CLS } }
            """,
            "model.profiles[b].pooling",
        ),
        (
            'profiles { key: "default" value { output_types: OUTPUT_TYPE_SPARSE } }',
            "model.profiles[default].output_types",
        ),
    ],
)
def test_a_broken_rule_names_the_field(extra, field):
    assert problem_of(model(extra)) == field


def test_a_model_needs_a_source_and_a_task():
    assert problem_of(Model(model_id="a")) == "model.sources"
    definition = model()
    definition.ClearField("tasks")
    assert problem_of(definition) == "model.tasks"
    definition.tasks.encode.SetInParent()
    assert problem_of(definition) == "model.tasks.encode"


def test_unknown_fields_and_enum_values_are_refused():
    definition = model()
    definition.profiles["default"].precision = 77
    assert problem_of(definition) == "model.profiles[default].precision"
    definition = model()
    # Field 100, a varint, which this version does not know.
    definition.tasks.encode.dense.MergeFromString(b"\xa0\x06\x01")
    assert problem_of(definition) == "model.tasks.encode.dense"


def test_a_definition_too_large_for_the_broker_is_refused():
    definition = model()
    definition.tasks.extract.labels.append("x" * MAX_DEFINITION_BYTES)
    assert problem_of(definition) == "model"


@pytest.mark.parametrize("bundle_id", ["", "A", "1a", "a_b", "a.b", "a" * 64])
def test_a_bundle_id_is_a_subject_token(bundle_id):
    assert problem_of(Bundle(bundle_id=bundle_id)) == "bundle.bundle_id"


def test_a_machine_profile_id_is_a_subject_token():
    assert problem_of(MachineProfile(machine_profile_id="l4-spot")) is None
    field = "machine_profile.machine_profile_id"
    assert problem_of(MachineProfile(machine_profile_id="l4.spot")) == field
