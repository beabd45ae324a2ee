"""What a pool may ask for, and how long it lives."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config_service.leases import Leases
from config_service.pool_commands import CreatePool, DeletePool, RenewPool
from config_service.pool_rules import renewed
from servicekit.errors import SieError, code_of
from sie.pool.v1.pool_pb2 import Pool, PoolSpec
from sie.registry.v1.machine_profile_pb2 import MachineProfile
from tests.unit.config_service.test_assignment import World, worker

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def world():
    return World()


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "Tenant"}, "name"),
        ({"name": "a.b"}, "name"),
        ({"name": "a" * 64}, "name"),
        ({"name": "default"}, "name"),
        ({"gpus": {}}, "gpus"),
        ({"gpus": {"h100": 1}}, "gpus.h100"),
        ({"gpus": {"l4": 0}}, "gpus.l4"),
        ({"gpus": {"l4": 1001}}, "gpus.l4"),
        ({"gpus": {f"p{n}": 1 for n in range(65)}}, "gpus"),
        ({"bundle": "nothing"}, "bundle"),
        ({"ttl_seconds": 2592001}, "ttl_seconds"),
        ({"minimum_worker_count": 3}, "minimum_worker_count"),
    ],
)
def test_a_spec_that_breaks_a_rule_is_refused_by_field(world, spec, field):
    given_spec = {"name": "a", "gpus": {"l4": 2}} | spec
    with pytest.raises(SieError) as caught:
        world.execute(CreatePool(PoolSpec(**given_spec)))
    assert code_of(caught.value.reason) == "INVALID_INPUT"
    assert caught.value.metadata["field"] == field


def test_a_spec_gets_its_defaults_and_its_profiles_their_names(world):
    world.registry.state.machine_profiles["t4-spot"] = MachineProfile(machine_profile_id="t4-spot")
    world.create("a", {"L4": 1, "T4": 2})
    spec = world.registry.state.pools["a"].spec
    assert dict(spec.gpus) == {"l4": 1, "t4-spot": 2}
    assert (spec.bundle, spec.ttl_seconds) == ("default", 1200)


def test_one_profile_under_two_names_is_refused(world):
    with pytest.raises(SieError, match="named already"):
        world.create("a", {"l4": 1, "L4": 1})


def test_the_same_pool_again_is_renewed_and_keeps_its_workers(world):
    world.workers = {"w1": worker("w1")}
    world.create("a", {"l4": 1})
    world.round()
    before = world.status("a").last_renewed.ToNanoseconds()
    world.create("a", {"l4": 1})
    assert world.of("a") == {"w1"}
    assert world.status("a").last_renewed.ToNanoseconds() > before


@pytest.mark.parametrize(
    ("name", "code"), [("x", "POOL_NOT_FOUND"), ("default", "PERMISSION_DENIED")]
)
def test_what_is_not_there_or_protected_cannot_be_deleted(world, name, code):
    with pytest.raises(SieError) as caught:
        world.execute(DeletePool(name))
    assert code_of(caught.value.reason) == code
    with pytest.raises(SieError, match="POOL_NOT_FOUND"):
        world.execute(RenewPool(name))


def leased(ttl_s):
    pool = Pool(spec=PoolSpec(name="a", ttl_seconds=ttl_s))
    pool.status.last_renewed.FromDatetime(NOW)
    return pool


@given(
    ttl_s=st.integers(1, 3000),
    gaps=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=20),
    jumps=st.lists(st.integers(-10_000_000, 10_000_000), min_size=20, max_size=20),
)
def test_a_lease_that_is_renewed_within_its_term_never_ends_however_clocks_jump(ttl_s, gaps, jumps):
    leases, pool, now, written = Leases(), leased(ttl_s), 0.0, 0
    for gap, jump in zip(gaps, jumps, strict=False):
        leases.observe({"a": pool}, now)
        now += gap * ttl_s
        assert leases.expired({"a": pool}, now) == []
        if leases.worth_logging(pool, now):
            pool = renewed(pool, NOW + dt.timedelta(seconds=jump))
            written += 1
    # Renewals much more frequent than the term are not all written.
    assert written <= 1 + 4 * now / ttl_s


def test_a_lease_that_nobody_renews_ends_within_five_quarters_of_its_term():
    leases, pools = Leases(), {"a": leased(100)}
    leases.observe(pools, 0.0)
    assert leases.expired(pools, 124.0) == []
    assert leases.expired(pools, 126.0) == ["a"]


def test_a_process_that_starts_gives_every_lease_a_whole_term():
    pools = {"a": leased(100)}
    leases = Leases()
    leases.observe(pools, 10_000.0)
    assert leases.expired(pools, 10_100.0) == []
    leases.observe(pools, 10_126.0)
    assert leases.expired(pools, 10_126.0) == ["a"]
    assert leases.expired({}, 10_126.0) == []


def test_time_in_which_nothing_could_be_written_does_not_count():
    leases, pools = Leases(), {"a": leased(100)}
    leases.observe(pools, 0.0)
    leases.prolong(60.0)
    assert leases.worth_logging(pools["a"], 26.0)
    assert leases.expired(pools, 184.0) == []
    assert leases.expired(pools, 186.0) == ["a"]
