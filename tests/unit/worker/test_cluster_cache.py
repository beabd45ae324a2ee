"""What one worker fetched from the hub, others copy from a bucket; its troubles stop nobody."""

import json
from pathlib import Path

import pytest

from sie.registry.v1.model_pb2 import HuggingFace, ModelSource
from tests import hub_server
from tests.hub_server import COMMIT, REPO
from worker.sources import ClusterCache, HubSettings, Locator, SourceError

BERT = Path(__file__).parents[2] / "golden" / "bert_mean"
KEY = f"hub--org--model--{COMMIT}"
SOURCE = ModelSource(hugging_face=HuggingFace(repo=REPO, revision=COMMIT))
NOBODY = HubSettings("http://127.0.0.1:1", offline=True)


@pytest.fixture
def hub():
    with hub_server.running(hub_server.files_of(BERT)) as hub:
        yield hub


@pytest.fixture
def bucket(tmp_path):
    return tmp_path / "bucket"


@pytest.fixture
def kept(hub, tmp_path, bucket):
    """A bucket with one commit, as a worker that fetched it leaves it."""
    directory = Locator(tmp_path / "first", HubSettings(hub.url)).locate([SOURCE])
    ClusterCache(f"file://{bucket}").keep(KEY, directory).join(20)
    return ClusterCache(f"file://{bucket}")


def test_a_worker_without_a_hub_has_the_same_files(kept, tmp_path):
    found = Locator(tmp_path / "second", NOBODY, kept).locate([SOURCE])
    first = tmp_path / "first" / "checkpoints" / KEY
    for path in first.rglob("*"):
        if path.is_file():
            assert (found / path.relative_to(first)).read_bytes() == path.read_bytes()


def test_who_fetches_from_the_hub_fills_the_bucket(hub, tmp_path, bucket):
    cache = ClusterCache(f"file://{bucket}")
    threads = []
    keep = cache.keep
    cache.keep = lambda *each: threads.append(keep(*each))
    Locator(tmp_path / "first", HubSettings(hub.url), cache).locate([SOURCE])
    for thread in threads:
        thread.join(20)
    listing = json.loads((bucket / f"{KEY}.json").read_text())
    assert "model.safetensors" in listing
    assert cache.files_of(KEY)


def test_files_that_are_not_what_was_kept_are_fetched_from_the_hub(hub, kept, tmp_path, bucket):
    (bucket / KEY / "config.json").write_bytes(b"{}" + b" " * 10_000)
    with pytest.raises(SourceError, match="off limits"):
        Locator(tmp_path / "second", NOBODY, kept).locate([SOURCE])
    found = Locator(tmp_path / "third", HubSettings(hub.url), kept).locate([SOURCE])
    assert (found / "config.json").read_bytes() == (BERT / "config.json").read_bytes()


def test_without_its_listing_a_commit_is_not_there(kept, bucket):
    (bucket / f"{KEY}.json").unlink()
    assert kept.files_of(KEY) == []


def test_a_bucket_out_of_reach_costs_nothing_but_a_warning(hub, tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("no directory")
    cache = ClusterCache(f"file://{blocked}")
    found = Locator(tmp_path / "first", HubSettings(hub.url), cache).locate([SOURCE])
    assert (found / "config.json").exists()
    cache.keep(KEY, found).join(20)
    assert "cluster cache cannot be written" in caplog.text
