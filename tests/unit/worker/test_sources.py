"""A model's files come whole and as stated, or not at all; a broken fetch is taken up again."""

import threading
from pathlib import Path

import pytest

from sie.registry.v1.model_pb2 import HuggingFace, ModelSource
from tests import hub_server
from tests.hub_server import COMMIT, REPO
from worker.checkpoint.config import CheckpointError
from worker.load_errors import ErrorClass
from worker.sources import FetchCancelledError, HubSettings, Locator, Progress, SourceError
from worker.sources.patterns import needed

BERT = Path(__file__).parents[2] / "golden" / "bert_mean"
WEIGHTS = "model.safetensors"


@pytest.fixture
def hub():
    files = hub_server.files_of(BERT) | {"onnx/model.onnx": b"x", "pytorch_model.bin": b"y"}
    with hub_server.running(files) as hub:
        yield hub


def source(**sha256: str) -> ModelSource:
    repository = HuggingFace(repo=REPO, revision=COMMIT)
    return ModelSource(hugging_face=repository, sha256=sha256)


def locator(hub, cache: Path, **more) -> Locator:
    return Locator(cache, HubSettings(hub.url, **more))


def test_a_commit_is_fetched_once_and_only_what_a_checkpoint_needs(hub, tmp_path):
    progress = Progress()
    found = locator(hub, tmp_path).locate([source()], progress)
    names = {path.relative_to(found).as_posix() for path in found.rglob("*") if path.is_file()}
    assert {WEIGHTS, "config.json", "tokenizer.json", "1_Pooling/config.json"} <= names
    assert not names & {"onnx/model.onnx", "pytorch_model.bin", "README.md"}
    assert (found / WEIGHTS).read_bytes() == (BERT / WEIGHTS).read_bytes()
    assert progress.done_bytes == progress.total_bytes > 350_000
    hub.requests.clear()
    assert locator(hub, tmp_path, offline=True).locate([source()]) == found
    assert not hub.requests


def test_a_connection_that_breaks_is_taken_up_where_it_broke(hub, tmp_path):
    hub.break_after = [100_000, 50_000]
    progress = Progress()
    found = locator(hub, tmp_path).locate([source()], progress)
    assert (found / WEIGHTS).read_bytes() == (BERT / WEIGHTS).read_bytes()
    ranges = [headers.get("Range") for headers in hub.asked(WEIGHTS)]
    assert ranges == [None, "bytes=100000-", "bytes=150000-"]
    assert progress.done_bytes == progress.total_bytes


def test_what_another_process_has_fetched_in_part_is_not_fetched_again(hub, tmp_path):
    partial = tmp_path / "checkpoints" / f"hub--org--model--{COMMIT}.partial"
    partial.mkdir(parents=True)
    (partial / f"{WEIGHTS}.part").write_bytes((BERT / WEIGHTS).read_bytes()[:200_000])
    locator(hub, tmp_path).locate([source()])
    assert [headers["Range"] for headers in hub.asked(WEIGHTS)] == ["bytes=200000-"]


@pytest.mark.parametrize("extra", [b"", b"too much"])
def test_a_part_that_is_whole_or_more_than_that_is_no_trouble(hub, tmp_path, extra):
    partial = tmp_path / "checkpoints" / f"hub--org--model--{COMMIT}.partial"
    partial.mkdir(parents=True)
    (partial / f"{WEIGHTS}.part").write_bytes((BERT / WEIGHTS).read_bytes() + extra)
    progress = Progress()
    found = locator(hub, tmp_path).locate([source()], progress)
    assert (found / WEIGHTS).read_bytes() == (BERT / WEIGHTS).read_bytes()
    assert len(hub.asked(WEIGHTS)) == bool(extra)
    assert progress.done_bytes == progress.total_bytes


@pytest.mark.parametrize("name", [WEIGHTS, "config.json"])
def test_bytes_that_are_not_what_the_hub_states_are_refused_and_not_kept(hub, tmp_path, name):
    hub.tamper = name
    with pytest.raises(SourceError, match=f"{name} has digest") as caught:
        locator(hub, tmp_path).locate([source()])
    assert caught.value.error_class is ErrorClass.CHECKPOINT
    hub.tamper = ""
    assert locator(hub, tmp_path).locate([source()])


def test_bytes_that_are_not_what_the_registry_names_are_refused(hub, tmp_path):
    with pytest.raises(SourceError, match="0000 was stated") as caught:
        locator(hub, tmp_path).locate([source(**{WEIGHTS: "0" * 64})])
    assert caught.value.error_class is ErrorClass.CHECKPOINT


def test_a_token_opens_a_gated_repository_and_goes_nowhere_else(hub, tmp_path):
    hub.token = "secret"
    with pytest.raises(SourceError, match="HF_TOKEN") as caught:
        locator(hub, tmp_path).locate([source()])
    assert caught.value.error_class is ErrorClass.GATED
    assert locator(hub, tmp_path, token="secret").locate([source()])
    assert all("Authorization" not in headers for headers in hub.asked(WEIGHTS))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (403, ErrorClass.GATED),
        (404, ErrorClass.NOT_FOUND),
        (429, ErrorClass.NETWORK),
        (503, ErrorClass.NETWORK),
    ],
)
def test_refusals_have_a_class(hub, tmp_path, status, expected):
    hub.status = status
    with pytest.raises(SourceError) as caught:
        locator(hub, tmp_path).locate([source()])
    assert caught.value.error_class is expected


def test_a_repository_that_is_not_there_is_not_found(hub, tmp_path):
    missing = ModelSource(hugging_face=HuggingFace(repo="org/other", revision=COMMIT))
    with pytest.raises(SourceError) as caught:
        locator(hub, tmp_path).locate([missing])
    assert caught.value.error_class is ErrorClass.NOT_FOUND


def test_a_hub_that_cannot_be_reached_is_a_matter_of_the_network(tmp_path):
    with pytest.raises(SourceError, match="cannot be reached") as caught:
        Locator(tmp_path, HubSettings("http://127.0.0.1:1")).locate([source()])
    assert caught.value.error_class is ErrorClass.NETWORK


def test_offline_what_was_not_fetched_is_not_found_and_nobody_is_asked(hub, tmp_path):
    with pytest.raises(SourceError, match="not fetched before") as caught:
        locator(hub, tmp_path, offline=True).locate([source()])
    assert caught.value.error_class is ErrorClass.NOT_FOUND
    assert not hub.requests


def test_two_workers_fetch_a_commit_once(hub, tmp_path):
    found: list[Path] = []

    def fetch():
        found.append(locator(hub, tmp_path).locate([source()]))

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 4
    assert len(hub.asked(WEIGHTS)) == 1


def test_a_fetch_that_nobody_wants_any_more_ends(hub, tmp_path):
    progress = Progress()
    progress.cancelled = True
    with pytest.raises(FetchCancelledError):
        locator(hub, tmp_path).locate([source()], progress)


def test_the_next_source_is_taken_and_all_reasons_are_told(hub, tmp_path):
    nowhere = ModelSource(directory=str(tmp_path / "nowhere"))
    assert locator(hub, tmp_path).locate([nowhere, ModelSource(directory=str(BERT))]) == BERT
    hub.status = 503
    with pytest.raises(SourceError, match=r"nowhere does not exist; .* 503") as caught:
        locator(hub, tmp_path / "other").locate([nowhere, source()])
    assert caught.value.error_class is ErrorClass.NETWORK


def test_a_url_is_followed_when_what_it_holds_changes(tmp_path):
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    (bucket / "config.json").write_text("{}")
    there = ModelSource(url=f"file://{bucket}")
    locate = Locator(tmp_path / "cache").locate
    first = locate([there])
    assert locate([there]) == first
    (bucket / "config.json").write_text('{"a": 1}')
    second = locate([there])
    assert (first != second, (second / "config.json").read_text()) == (True, '{"a": 1}')


def test_a_web_server_gives_the_files_that_the_registry_names(hub, tmp_path):
    (digest,) = {hub_server._sha256((BERT / WEIGHTS).read_bytes())}
    there = ModelSource(url=f"{hub.url}/storage", sha256={WEIGHTS: digest})
    found = Locator(tmp_path).locate([there])
    assert [path.name for path in found.iterdir()] == [WEIGHTS]
    with pytest.raises(SourceError, match="name them under sha256"):
        Locator(tmp_path).locate([ModelSource(url=f"{hub.url}/storage")])


def test_a_file_on_disk_must_be_what_the_registry_names(tmp_path):
    wrong = ModelSource(directory=str(BERT), sha256={WEIGHTS: "0" * 64})
    with pytest.raises(CheckpointError, match="was expected"):
        Locator(tmp_path).locate([wrong])
    absent = ModelSource(directory=str(BERT), sha256={"absent": "0" * 64})
    with pytest.raises(CheckpointError, match="absent"):
        Locator(tmp_path).locate([absent])


def test_names_that_lead_elsewhere_are_never_needed():
    assert needed(["../config.json", "/etc/x.json", "a/../b.json", ".hidden.json"]) == []


def test_torch_weights_are_needed_only_where_there_are_no_others():
    assert needed(["pytorch_model.bin", "model.safetensors"]) == ["model.safetensors"]
    assert needed(["pytorch_model.bin", "colbert_linear.pt", "training_args.bin"]) == [
        "colbert_linear.pt",
        "pytorch_model.bin",
    ]
