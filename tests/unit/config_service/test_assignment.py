"""Pools get workers: any sequence of commands, deaths and returns, replayable by seed."""

import datetime as dt

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from config_service.assignment import assign
from config_service.commands import Apply
from config_service.pool_commands import AssignWorkers, CreatePool, DeletePool
from config_service.registry import Registry
from servicekit.errors import SieError
from servicekit.pools import assignments
from sie.pool.v1.pool_pb2 import PoolSpec, PoolState
from sie.registry.v1.bundle_pb2 import Bundle
from sie.registry.v1.machine_profile_pb2 import MachineProfile
from sie.worker.v1.worker_status_pb2 import WorkerState, WorkerStatus

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
PROFILES = ("l4", "cpu")
BUNDLES = ("default", "big")
POOLS = st.sampled_from(["a", "b", "c"])
WORKERS = [f"w{number}" for number in range(6)]


def worker(name, profile="l4", bundle="default", state="READY", dedicated=""):
    return WorkerStatus(
        worker_id=name,
        machine_profile=profile,
        bundle=bundle,
        state=f"WORKER_STATE_{state}",
        pool=dedicated or "default",
        dedicated=bool(dedicated),
    )


class World:
    """The registry and the workers, with rounds of assignment in between."""

    def __init__(self):
        self.registry = Registry()
        self.workers = {}
        self.now = START
        for profile in PROFILES:
            self.execute(Apply(MachineProfile(machine_profile_id=profile)))
        for bundle in BUNDLES:
            self.execute(Apply(Bundle(bundle_id=bundle)))

    def execute(self, command):
        self.now += dt.timedelta(seconds=1)
        events = self.registry.decide(command, self.now)
        for event in events:
            self.registry.apply(event)
        return bool(events)

    def create(self, name, gpus, minimum=0, bundle="default"):
        spec = PoolSpec(name=name, gpus=gpus, minimum_worker_count=minimum, bundle=bundle)
        self.execute(CreatePool(spec))

    def round(self, *, settled=True):
        """Commits what is to change; returns how many commits that took."""
        pools, commits = dict(self.registry.state.pools), 0
        for name, found in assign(pools, self.workers, settled=settled).items():
            command = AssignWorkers(
                name, found.workers, found.state, found.reason, self.registry.revision
            )
            commits += self.execute(command)
            self.check_exclusive()
        return commits

    def check_exclusive(self):
        names = [
            worker.name
            for pool in self.registry.state.pools.values()
            for worker in pool.status.assigned_workers
        ]
        assert len(names) == len(set(names))

    def of(self, pool):
        found = self.registry.state.pools[pool].status.assigned_workers
        return {worker.name for worker in found}

    def status(self, pool):
        return self.registry.state.pools[pool].status


class Assignments(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.world = World()

    @rule(
        name=POOLS,
        gpus=st.dictionaries(st.sampled_from(PROFILES), st.integers(1, 3), min_size=1),
        bundle=st.sampled_from(BUNDLES),
        share=st.floats(0, 1),
    )
    def create_or_resize(self, name, gpus, bundle, share):
        self.world.create(name, gpus, int(share * sum(gpus.values())), bundle)

    @precondition(lambda self: self.world.registry.state.pools)
    @rule(data=st.data())
    def delete(self, data):
        name = data.draw(st.sampled_from(sorted(self.world.registry.state.pools)))
        freed = self.world.of(name)
        self.world.execute(DeletePool(name))
        assert not freed & assignments(self.world.registry.state.pools.values()).keys()

    @rule(
        name=st.sampled_from(WORKERS),
        profile=st.sampled_from(PROFILES),
        bundle=st.sampled_from(BUNDLES),
        state=st.sampled_from(["READY", "READY", "READY", "STARTING", "DRAINING", "FAILED"]),
        dedicated=st.sampled_from(["", "", "", "a", "default"]),
    )
    def beat(self, name, profile, bundle, state, dedicated):
        self.world.workers[name] = worker(name, profile, bundle, state, dedicated)

    @precondition(lambda self: self.world.workers)
    @rule(data=st.data())
    def die(self, data):
        del self.world.workers[data.draw(st.sampled_from(sorted(self.world.workers)))]

    @rule(settled=st.booleans())
    def one_round(self, settled):
        before = assignments(self.world.registry.state.pools.values())
        self.world.round(settled=settled)
        after = assignments(self.world.registry.state.pools.values())
        for name, pool in before.items():
            # Nobody is handed from one pool to another.
            assert after.get(name, pool) == pool
            if not settled and name not in self.world.workers:
                assert self._resized(pool) or name in after

    @rule()
    def come_to_rest(self):
        while self.world.round():
            pass
        pools = self.world.registry.state.pools
        assigned = assignments(pools.values())
        for name, pool_name in assigned.items():
            found, spec = self.world.workers[name], pools[pool_name].spec
            assert found.bundle == spec.bundle
            assert found.state in (
                WorkerState.WORKER_STATE_READY,
                WorkerState.WORKER_STATE_STARTING,
            )
            assert not found.dedicated or found.pool == pool_name
        free = [w for name, w in self.world.workers.items() if name not in assigned]
        for pool in pools.values():
            self._check_filled(pool, free)

    def _check_filled(self, pool, free):
        held = [worker.gpu for worker in pool.status.assigned_workers]
        for profile in PROFILES:
            wanted = pool.spec.gpus.get(profile, 0)
            assert held.count(profile) <= wanted
            if held.count(profile) < wanted:
                assert not any(
                    w.machine_profile == profile
                    and w.bundle == pool.spec.bundle
                    and w.state == WorkerState.WORKER_STATE_READY
                    and (not w.dedicated or w.pool == pool.spec.name)
                    for w in free
                )
        serving = sum(
            self.world.workers[w.name].state == WorkerState.WORKER_STATE_READY
            for w in pool.status.assigned_workers
        )
        minimum = pool.spec.minimum_worker_count or sum(pool.spec.gpus.values())
        assert (pool.status.state == PoolState.POOL_STATE_ACTIVE) == (serving >= minimum)

    def _resized(self, pool):
        held = self.world.registry.state.pools[pool]
        counts = [worker.gpu for worker in held.status.assigned_workers]
        return any(counts.count(p) >= n for p, n in held.spec.gpus.items()) or not counts

    @invariant()
    def nobody_is_in_two_pools(self):
        self.world.check_exclusive()


TestAssignments = Assignments.TestCase
TestAssignments.settings = settings(max_examples=60, stateful_step_count=30)


def test_what_a_pool_has_it_keeps_when_better_workers_come():
    world = World()
    world.workers = {"w5": worker("w5")}
    world.create("a", {"l4": 1})
    world.round()
    world.workers["w1"] = worker("w1")
    assert world.round() == 0
    assert world.of("a") == {"w5"}
    assert world.status("a").state == PoolState.POOL_STATE_ACTIVE


def test_a_dead_worker_is_replaced_and_its_return_changes_nothing():
    world = World()
    world.workers = {name: worker(name) for name in ("w1", "w2")}
    world.create("a", {"l4": 1})
    world.round()
    lost = world.workers.pop("w1")
    world.round()
    assert world.of("a") == {"w2"}
    world.workers["w1"] = lost
    assert world.round() == 0


def test_while_nobody_has_been_heard_yet_nobody_is_taken_for_dead():
    world = World()
    world.workers = {"w1": worker("w1")}
    world.create("a", {"l4": 1})
    world.round()
    world.workers = {"w2": worker("w2")}
    assert world.round(settled=False) == 0
    world.round()
    assert world.of("a") == {"w2"}


def test_every_pool_gets_its_minimum_before_any_gets_more():
    world = World()
    world.create("a", {"l4": 3}, minimum=1)
    world.create("b", {"l4": 1})
    world.workers = {name: worker(name) for name in ("w1", "w2")}
    world.round()
    assert (world.of("a"), world.of("b")) == ({"w1"}, {"w2"})
    assert world.status("a").reason == "1 of 3 workers; none free of l4 (2)"
    world.workers["w3"] = worker("w3")
    world.round()
    assert world.of("a") == {"w1", "w3"}


def test_a_smaller_pool_lets_go_of_what_it_no_longer_wants():
    world = World()
    world.workers = {name: worker(name) for name in ("w1", "w2")}
    world.create("a", {"l4": 2})
    world.round()
    world.create("a", {"l4": 1})
    world.create("b", {"l4": 1})
    world.round()
    world.round()
    assert (world.of("a"), world.of("b")) == ({"w1"}, {"w2"})


def test_an_assignment_made_of_an_older_registry_is_refused():
    world = World()
    world.create("a", {"l4": 1})
    world.create("b", {"l4": 1})
    state, revision = PoolState.POOL_STATE_ACTIVE, world.registry.revision
    world.execute(AssignWorkers("a", {"w1": "l4"}, state, "", revision))
    with pytest.raises(SieError, match="REVISION_CONFLICT"):
        world.execute(AssignWorkers("b", {"w1": "l4"}, state, "", revision))
    assert world.of("b") == set()
