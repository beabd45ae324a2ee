import datetime as dt
from pathlib import Path

import pytest

from config_service.commands import Apply
from config_service.registry import Registry
from config_service.seeds import read_seeds
from servicekit.definitions import read_file
from servicekit.yaml_nodes import MAX_FILE_BYTES, DefinitionError
from sie.registry.v1.model_pb2 import Model

ROOT = Path(__file__).parents[3]


@pytest.fixture
def read(tmp_path):
    def from_text(text):
        file = tmp_path / "model.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_file(file, Model)

    return from_text


def test_every_definition_of_this_repository_is_valid():
    registry = Registry()
    for seed in read_seeds(ROOT / "machine_profiles", ROOT / "bundles", ROOT / "models"):
        (event,) = registry.decide(Apply(seed.message), dt.datetime.now(dt.UTC))
        registry.apply(event)
    assert "sentence-transformers/all-MiniLM-L6-v2" in registry.state.models


def test_every_kind_of_field_is_read_by_its_own_name(read):
    model = read("""
model_id: a/b
inputs: [text, image]
tasks: {score: {}}
max_sequence_length: 512
profiles:
  default:
    precision: bfloat16
    pooling: last_token
    normalize: false
    query_prompt: ""
    output_types: [multivector]
    options: {threshold: 0.5, names: [x, 1, true, null]}
""")
    profile = model.profiles["default"]
    assert model.tasks.HasField("score")
    assert list(model.inputs) == [1, 2]
    assert (profile.precision, profile.pooling, model.max_sequence_length) == (3, 3, 512)
    assert profile.HasField("normalize")
    assert profile.HasField("query_prompt")
    assert profile.options["threshold"] == 0.5
    assert list(profile.options["names"]) == ["x", 1, True, None]


@pytest.mark.parametrize(
    ("text", "line", "field"),
    [
        ("model_id: a\nmodel_idd: b", 2, "model_idd"),
        ("model_id: 12", 1, "model_id"),
        ("model_id: a\nmodel_id: b", 2, "model_id"),
        ("tasks:\n  encode:\n    dense:\n      dims: many", 4, "tasks.encode.dense.dims"),
        ("tasks:\n  encode:\n    dense:\n      dims: -1", 4, "tasks.encode.dense.dims"),
        ("tasks: {encode: {dense: {dims: 0x10}}}", 1, "tasks.encode.dense.dims"),
        ("max_sequence_length: 4294967296", 1, "max_sequence_length"),
        ("max_sequence_length: 1:30", 1, "max_sequence_length"),
        ("inputs: text", 1, "inputs"),
        ("inputs:\n- text\n- INPUT_TYPE_TEXT", 3, "inputs[1]"),
        ("inputs: [unspecified]", 1, "inputs[0]"),
        ("tasks:\n  score:", 2, "tasks.score"),
        ("profiles:\n  default:\n    normalize: yes", 3, "profiles[default].normalize"),
        ("profiles:\n  default:\n    options: {a: 2020-01-01}", 3, "profiles[default].options.a"),
        ("sources:\n- directory: /a\n  url: s3://a/b", 3, "sources[0].url"),
        ("sources:\n- sha256: {f: [1]}", 2, "sources[0].sha256[f]"),
        ("? [a]\n: b", 1, ""),
        ("model_id: &a x", 1, ""),
        ("model_id: *a", 1, ""),
        ("model_id: !!str x", 1, ""),
        ("<<: {model_id: a}", 1, "<<"),
        ("- a", 1, ""),
        ("", 1, ""),
        ("a: [", 1, ""),
        ("model_id: a\n---\nmodel_id: b", 2, ""),
        ("model_id: a\nmodel_id: '\x01'", 2, ""),
        (b"model_id: \xff", 0, ""),
        ("[" * 10_000, 1, ""),
        ("#" * (MAX_FILE_BYTES + 1), 0, ""),
    ],
)
def test_an_error_names_the_file_the_line_and_the_field(read, tmp_path, text, line, field):
    with pytest.raises(DefinitionError) as caught:
        read(text)
    assert (caught.value.line, caught.value.field) == (line, field)
    place = f":{line}: " if line else ": "
    assert str(caught.value).startswith(f"{tmp_path / 'model.yaml'}{place}")


def test_two_files_of_the_same_id_are_refused(tmp_path):
    for name in ("machine_profiles", "bundles", "models"):
        (tmp_path / name).mkdir()
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / "bundles" / name).write_text("bundle_id: same")
    with pytest.raises(DefinitionError, match="same id as"):
        read_seeds(*(tmp_path / name for name in ("machine_profiles", "bundles", "models")))


def test_a_missing_directory_is_an_error(tmp_path):
    with pytest.raises(DefinitionError, match="is no directory"):
        read_seeds(tmp_path / "x", tmp_path, tmp_path)
