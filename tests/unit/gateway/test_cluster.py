"""What the gateway knows of models."""

import pytest
from prometheus_client import CollectorRegistry

from gateway.cluster import Cluster
from gateway.demand import Demand
from gateway.refusals import Refusals
from gateway.usage import Usage
from servicekit.errors import SieError
from servicekit.registry_view import FILE_NAME, RegistryView
from servicekit.workers import WorkerDirectory
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.registry.v1.model_pb2 import Model
from sie.registry.v1.registry_service_pb2 import Snapshot

MINILM = "sentence-transformers/all-MiniLM-L6-v2"


def cluster_of(view):
    refusals = Refusals(CollectorRegistry())
    return Cluster(view, WorkerDirectory(), Demand(1.0), Usage(1.0), refusals, lambda _: 0)


@pytest.fixture
async def cluster(tmp_path):
    models = [Model(model_id=each) for each in (MINILM, "BAAI/bge-m3", "secret/bge-m4")]
    snapshot = Snapshot(revision=1, models=models)
    (tmp_path / FILE_NAME).write_bytes(snapshot.SerializeToString())
    async with RegistryView("127.0.0.1:1", tmp_path, "test") as view:
        yield cluster_of(view)


@pytest.mark.parametrize(
    ("asked", "suggested"),
    [
        ("all-MiniLM-L6-v2", MINILM),
        ("sentence-transformers/all-minilm-l6-v2", MINILM),
        ("all-minilm", MINILM),
        ("BAAI/bge-m4", "BAAI/bge-m3"),
        ("gpt-5", None),
        ("x" * 5000, None),
        ("\x00", None),
    ],
)
def test_a_model_that_is_not_there_is_answered_with_one_that_the_caller_may_use(
    cluster, asked, suggested
):
    with pytest.raises(SieError, match="is registered") as caught:
        cluster.model(asked, lambda model_id: not model_id.startswith("secret/"))
    assert caught.value.message.partition("; did you mean ")[2] == (
        f"{suggested}?" if suggested else ""
    )


def reason(cluster):
    with pytest.raises(SieError) as caught:
        cluster.model("anything")
    return caught.value.reason


async def test_no_registry_is_something_else_than_an_empty_one(tmp_path):
    unread = RegistryView("127.0.0.1:1", None, "test")
    assert reason(cluster_of(unread)) == ErrorReason.ERROR_REASON_REGISTRY_UNAVAILABLE
    (tmp_path / FILE_NAME).write_bytes(Snapshot().SerializeToString())
    async with RegistryView("127.0.0.1:1", tmp_path, "test") as empty:
        assert reason(cluster_of(empty)) == ErrorReason.ERROR_REASON_MODEL_NOT_FOUND


def test_nothing_is_suggested_to_whom_it_is_not_known(cluster):
    with pytest.raises(SieError, match=r"is registered$"):
        cluster.model("bge-m3")
