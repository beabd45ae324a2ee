"""What readers of the cluster's status see of its lanes."""

from types import SimpleNamespace

from gateway.auth.principal import ANYBODY, Principal
from gateway.demand import Demand
from gateway.lane_status import LaneStatus
from servicekit.subjects import Lane
from sie.worker.v1.worker_status_pb2 import HostedModel, WorkerStatus

CPU = Lane("default", "cpu", "default")
L4 = Lane("default", "l4", "default")
L4_TENANT = Lane("tenant", "l4", "default")


def lane_status(served=None, waiting=None, demand=None):
    waiting = waiting or {}
    requests = SimpleNamespace(
        lanes=lambda: list(waiting), waiting_items=lambda lane: waiting.get(lane, 0)
    )
    return LaneStatus(lambda: served or {}, demand or Demand(60.0), requests, lambda: 0.0)


def shown(status, reader=ANYBODY):
    return {
        (each["pool"], each["gpu"]): (
            each["worker_count"],
            each["queue_depth"],
            each["in_demand"],
        )
        for each in status.describe(reader)
    }


def test_a_lane_without_workers_is_shown_while_somebody_wants_one():
    demand = Demand(60.0)
    demand.record(L4, 0.0)
    status = lane_status({CPU: [WorkerStatus()]}, {L4_TENANT: 3}, demand)
    assert shown(status) == {
        ("default", "cpu"): (1, 0, False),
        ("default", "l4"): (0, 0, True),
        ("tenant", "l4"): (0, 3, True),
    }


def test_what_waits_is_counted_once():
    worker = WorkerStatus(models=[HostedModel(queued_items=4), HostedModel(queued_items=1)])
    assert shown(lane_status({CPU: [worker, worker]}, {CPU: 7}))["default", "cpu"] == (2, 10, False)
    assert shown(lane_status({CPU: [worker]}, {CPU: 7}))["default", "cpu"] == (1, 7, False)


def test_lanes_of_pools_that_a_token_may_not_use_are_not_shown():
    status = lane_status({CPU: [], L4_TENANT: []})
    assert shown(status, Principal(pools=frozenset({"tenant"}))).keys() == {("tenant", "l4")}
