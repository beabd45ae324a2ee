"""The cluster as viewers see it."""

import json

import pytest

from gateway.auth.principal import ANYBODY, Principal
from gateway.cluster_status import ClusterStatus
from gateway.demand import Demand
from gateway.lane_status import LaneStatus
from servicekit.registry_view import RegistryView
from servicekit.workers import WorkerDirectory
from sie.inference.v1.model_service_pb2 import ModelState
from sie.worker.v1.worker_status_pb2 import HostedModel, WorkerState, WorkerStatus


class Nothing:
    """Neither requests nor other gateways."""

    def lanes(self):
        return ()

    def live(self):
        return []


@pytest.fixture
def workers():
    found = WorkerDirectory()
    found.update(
        WorkerStatus(
            worker_id="a",
            pool="default",
            machine_profile="cpu",
            bundle="default",
            state=WorkerState.WORKER_STATE_READY,
            models=[HostedModel(model_id="org/m", state=ModelState.MODEL_STATE_LOADED)],
        )
    )
    return found


async def test_a_frame_is_shared_for_a_moment_and_with_nobody_who_sees_other_things(workers):
    now = [1000.0]
    view = RegistryView("127.0.0.1:1", None, "test")
    lanes = LaneStatus(dict, Demand(1.0), Nothing())
    status = ClusterStatus(view, workers, Nothing(), lanes, lambda: True, lambda: now[0])

    def models(reader):
        return [model["name"] for model in json.loads(status.frame(reader))["models"]]

    assert models(ANYBODY) == ["org/m"]
    assert models(Principal(models=("other/*",))) == []
    first = status.frame(ANYBODY)
    now[0] += 0.4
    assert status.frame(Principal(admin=True, reserves=True)) is first
    now[0] += 0.2
    assert json.loads(status.frame(ANYBODY))["timestamp"] == now[0]
