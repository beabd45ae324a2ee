"""What is exported comes back the same elsewhere; an archive that lies leaves nothing behind."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.__main__ import main
from cli.errors import CommandError
from cli.model_archive import read_archive
from servicekit.definitions import read_file
from sie.registry.v1.model_pb2 import Model
from worker.sources import Locator

BERT = Path(__file__).parents[2] / "golden" / "bert_mean"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    models = tmp_path / "models"
    models.mkdir()
    definition = {
        "model_id": "org/bert",
        "sources": [{"directory": str(BERT)}],
        "tasks": {"encode": {"dense": {"dims": 48}}},
        "profiles": {"default": {"pooling": "mean"}},
    }
    (models / "bert.yaml").write_text(json.dumps(definition))
    return models


def invoke(*arguments: object):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def export(models: Path, target: Path, model_id: str = "org/bert"):
    options = ("--models-dir", models, "--cache-dir", target.parent / "cache")
    return invoke("export", model_id, "-o", target, *options)


def test_a_model_is_the_same_after_its_journey(models, tmp_path):
    archive, target = tmp_path / "a.tar", tmp_path / "there"
    assert export(models, archive).exit_code == 0
    result = invoke("import", archive, "--to", target)
    assert (result.exit_code, result.output.splitlines()[0]) == (0, "org/bert")
    model = read_file(target / "models" / "org--bert.yaml", Model)
    found = Locator(tmp_path / "cache").locate(model.sources)
    assert found == target / "checkpoints" / "org--bert"
    for name in ("model.safetensors", "tokenizer.json", "1_Pooling/config.json"):
        assert (found / name).read_bytes() == (BERT / name).read_bytes()
    assert model.profiles["default"].pooling
    assert sorted(path.name for path in target.iterdir()) == ["checkpoints", "models"]


def test_the_same_models_make_the_same_archive_and_may_be_imported_again(models, tmp_path):
    for name in ("a.tar", "b.tar"):
        export(models, tmp_path / name)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    for name in ("a.tar", "b.tar"):
        assert read_archive(tmp_path / name, tmp_path / "there") == ["org/bert"]


def test_an_unknown_model_is_told_with_those_that_are_known(models, tmp_path):
    result = export(models, tmp_path / "a.tar", "other")
    assert (result.exit_code, "defined are: org/bert" in result.output) == (1, True)
    assert not (tmp_path / "a.tar").exists()


def forged(path: Path, entries, files=None) -> Path:
    """An archive whose manifest tells the truth about `entries` unless `files` says otherwise."""
    stated = {
        info.name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for info, content in entries
    }
    manifest = json.dumps({"format": 1, "files": stated if files is None else files}).encode()
    info = tarfile.TarInfo("manifest.json")
    with tarfile.open(path, "w") as archive:
        for each, content in [(info, manifest), *entries]:
            each.size = len(content)
            archive.addfile(each, io.BytesIO(content))
    return path


def entry(name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE, link: str = ""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info, content


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ([entry("../outside")], "no place"),
        ([entry("/etc/outside")], "no place"),
        ([entry("models/../../outside")], "no place"),
        ([entry("elsewhere/file")], "no place"),
        ([entry("models/a.yaml", b"", tarfile.SYMTYPE, "/etc/passwd")], "no plain file"),
        ([entry("models/a.yaml", b"", tarfile.LNKTYPE, "manifest.json")], "no plain file"),
        ([entry("models/a.yaml"), entry("models/a.yaml")], "announce"),
        ([entry("models/a.yaml", b"model_id: a")], "files are missing"),
    ],
)
def test_entries_that_lead_elsewhere_are_refused(tmp_path, entries, problem):
    archive = forged(tmp_path / "a.tar", entries)
    with pytest.raises(CommandError, match=problem):
        read_archive(archive, tmp_path / "in" / "there")
    assert not [path for path in (tmp_path / "in").rglob("*") if path.is_file()]
    assert not (tmp_path / "outside").exists()


def test_content_must_be_as_announced(models, tmp_path):
    content = entry("models/a.yaml")
    wrong = {"models/a.yaml": {"size": 1, "sha256": "0" * 64}}
    larger = {"models/a.yaml": {"size": 0, "sha256": "0" * 64}}
    more = wrong | {"models/b.yaml": wrong["models/a.yaml"]}
    for files, problem in ((wrong, "has sha256"), (larger, "0 bytes"), ({}, "announce")):
        with pytest.raises(CommandError, match=problem):
            read_archive(forged(tmp_path / "a.tar", [content], files), tmp_path / "there")
    digest = {"models/a.yaml": {"size": 1, "sha256": hashlib.sha256(b"x").hexdigest()}}
    lacking = forged(tmp_path / "a.tar", [content], more | digest)
    with pytest.raises(CommandError, match=r"b.yaml is missing"):
        read_archive(lacking, tmp_path / "there")
    bomb = {"models/a.yaml": {"size": 10**12, "sha256": "0" * 64}}
    with pytest.raises(CommandError, match="more than there is"):
        read_archive(forged(tmp_path / "a.tar", [content], bomb), tmp_path / "there")


@pytest.mark.parametrize("content", [b"", b"no tar", b"\0" * 10240])
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(CommandError):
        read_archive(tmp_path / "a.tar", tmp_path / "there")


def test_a_damaged_archive_is_refused(models, tmp_path):
    export(models, tmp_path / "a.tar")
    whole = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CommandError):
        read_archive(tmp_path / "a.tar", tmp_path / "there")
    assert not list((tmp_path / "there").iterdir())
