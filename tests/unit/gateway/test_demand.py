"""Demand wakes lanes from zero, and only ends when it is met or forgotten."""

from gateway.demand import RETRY_AFTER_S, TTL_S, Demand
from servicekit.subjects import Lane

L4 = Lane("default", "l4", "default")
L4_BIG = Lane("default", "l4", "big")


class World:
    def __init__(self):
        self.now = 100.0
        self.lanes = set()
        self.demand = Demand(lambda: self.lanes, lambda: self.now)

    def pending(self):
        return {key for key, wanted in self.demand.pending().items() if wanted}


def test_demand_is_still_there_when_the_caller_returns():
    world = World()
    world.demand.record(L4)
    world.now += RETRY_AFTER_S
    assert world.pending() == {("l4", "default")}


def test_a_worker_of_another_bundle_does_not_clear_it():
    world = World()
    world.demand.record(L4_BIG)
    world.lanes = {L4}
    assert world.pending() == {("l4", "big")}


def test_a_worker_of_the_very_pair_clears_it():
    world = World()
    world.demand.record(L4)
    world.lanes = {L4}
    assert not world.pending()


def test_forgotten_demand_ends():
    world = World()
    world.demand.record(L4)
    world.now += TTL_S + 1
    assert not world.pending()


def test_a_cleared_series_falls_to_zero_and_stays():
    world = World()
    world.demand.record(L4)
    world.lanes = {L4}
    (family,) = world.demand.collect()
    assert [(s.labels, s.value) for s in family.samples] == [
        ({"machine_profile": "l4", "bundle": "default"}, 0.0)
    ]
