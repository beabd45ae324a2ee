"""The quick part of `make chaos`: some faults, one after the other, on one cluster under load."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.faults import FAULTS
from tests.chaos.run import Plan, Runner
from tests.chaos.stack import ChaosStack

QUICK = ("SIGTERM worker", "kill -9 broker")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, engine_cache: Path) -> Iterator[ChaosStack]:
    with ChaosStack(tmp_path_factory.mktemp("chaos"), engine_cache) as cluster:
        cluster.start()
        yield cluster


@pytest.fixture
def runner(tmp_path: Path, engine_cache: Path) -> Runner:
    # Clients that rest leave the processor to what else is tested meanwhile.
    return Runner(Plan(rest_s=0.3), tmp_path, engine_cache)


@pytest.mark.parametrize("name", QUICK)
def test_a_fault_costs_no_request_and_no_item(cluster: ChaosStack, runner: Runner, name: str):
    (fault,) = (each for each in FAULTS if each.name == name)
    row = runner.suffer(cluster, fault)
    assert row.load.sent
    assert not row.problems


def test_every_fault_has_a_name_of_its_own():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


def test_the_seed_decides_the_order_and_those_with_a_cluster_of_their_own_are_last(runner: Runner):
    order = runner.in_order(FAULTS)
    assert order == runner.in_order(FAULTS)
    assert sorted(map(id, order)) == sorted(map(id, FAULTS))
    own = [bool(fault.stack) for fault in order]
    assert own == sorted(own)
