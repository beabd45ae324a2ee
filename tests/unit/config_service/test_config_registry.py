import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config_service.commands import Apply, Delete
from config_service.registry import Registry
from config_service.service import RegistryAdminService, RegistryHistoryService
from servicekit.errors import SieError, code_of
from servicekit.registry_state import Key, RegistryState
from sie.registry.v1.bundle_pb2 import Bundle
from sie.registry.v1.machine_profile_pb2 import MachineProfile
from sie.registry.v1.model_pb2 import Model
from sie.registry.v1.registry_admin_service_pb2 import (
    ImportRegistryRequest,
    RollbackRegistryRequest,
)
from sie.registry.v1.registry_history_service_pb2 import ListRevisionsRequest

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

IDS = st.sampled_from(["a", "b/c", "d.e"])
COMMANDS = st.one_of(
    st.builds(lambda i, n: Apply(model(i, n)), IDS, st.integers(1, 3)),
    st.builds(lambda i: Delete(Key("model", i)), IDS),
    st.builds(lambda i, n: Apply(Bundle(bundle_id=i, priority=n)), st.just("b"), st.integers(0, 2)),
    st.builds(
        lambda i, s: Apply(MachineProfile(machine_profile_id=i, spot=s)),
        st.sampled_from(["l4", "cpu"]),
        st.booleans(),
    ),
)


def model(model_id, dims=1, bundles=()):
    definition = Model(model_id=model_id, bundles=bundles)
    definition.sources.add(directory="/models/a")
    definition.tasks.encode.dense.dims = dims
    return definition


def registry(commands=(), max_recent=10_000):
    made = Registry(max_recent)
    for command in (Apply(Bundle(bundle_id="default")), *commands):
        execute(made, command)
    return made


def execute(target, command):
    """The event that the command became, None if it changed nothing or was refused."""
    try:
        events = target.decide(command, NOW)
    except SieError:
        return None
    for event in events:
        target.apply(event)
    return events[0] if events else None


@given(st.lists(COMMANDS, max_size=30))
def test_every_commit_has_the_next_revision_and_nothing_else_moves_it(commands):
    target = registry()
    for command in commands:
        before = target.revision
        event = execute(target, command)
        assert target.revision == before + (event is not None)
        assert event is None or event.revision == target.revision


@given(st.lists(COMMANDS, max_size=30))
def test_applying_the_same_definition_twice_commits_once(commands):
    target = registry()
    for command in commands:
        execute(target, command)
        if isinstance(command, Apply):
            assert execute(target, command) is None


@given(st.lists(COMMANDS, max_size=30), st.data())
def test_a_snapshot_and_the_events_behind_it_give_the_same_state(commands, data):
    target = registry()
    snapshots = [target.state.to_snapshot()]
    for command in commands:
        execute(target, command)
        snapshots.append(target.state.to_snapshot())
    view = RegistryState()
    view.replace(data.draw(st.sampled_from(snapshots)))
    for event in target.events_since(view.revision + 1):
        view.apply(event)
    assert view.to_snapshot() == target.state.to_snapshot()


@given(st.lists(COMMANDS, max_size=30))
def test_the_compacted_log_rebuilds_state_revisions_and_deletions(commands):
    target, rebuilt = registry(commands), Registry()
    rebuilt.replace(target.history.compacted())
    assert rebuilt.state.to_snapshot() == target.state.to_snapshot()
    assert rebuilt.history.compacted() == target.history.compacted()


@given(st.lists(COMMANDS, max_size=30), st.integers(1, 5))
def test_history_is_bounded_and_has_no_gaps(commands, max_history):
    target = registry(commands, max_history)
    events = target.events_since(target.oldest_revision)
    assert len(events) <= max_history
    assert [e.revision for e in events] == list(range(target.oldest_revision, target.revision + 1))
    assert target.events_since(target.oldest_revision - 1) is None


def test_history_starts_anew_behind_a_gap_in_the_log():
    target, rebuilt = registry([Apply(model("a", n)) for n in (1, 2, 3)]), Registry()
    log = target.events_since(1)
    rebuilt.replace([log[0], log[2], log[3]])
    assert rebuilt.oldest_revision == 3


def test_a_command_that_expects_another_revision_is_refused():
    target = registry()
    with pytest.raises(SieError) as caught:
        target.decide(Apply(model("a"), expected_revision=7), NOW)
    assert code_of(caught.value.reason) == "REVISION_CONFLICT"
    assert caught.value.metadata == {"expected_revision": "7", "revision": "1"}


def test_deleting_a_model_that_is_not_there_is_refused_by_name():
    with pytest.raises(SieError, match="MODEL_NOT_FOUND"):
        registry().decide(Delete(Key("model", "nobody/home")), NOW)


def test_a_deleted_model_is_gone_and_its_deletion_remembered():
    target = registry([Apply(model("a")), Delete(Key("model", "a"))])
    assert not target.state.models
    assert target.latest(Key("model", "a")).model_deleted == "a"


def test_an_event_out_of_order_is_refused():
    target = registry([Apply(model("a"))])
    with pytest.raises(ValueError, match="does not follow"):
        target.apply(target.events_since(1)[0])


@pytest.mark.parametrize("number", [-1, 99])
async def test_a_kind_that_there_is_not_is_refused_by_its_field(number):
    held = registry()
    past = RegistryHistoryService(held)
    admin = RegistryAdminService(held, None)
    asked = (
        ("resource_type", past.ListRevisions, ListRevisionsRequest(resource_type=number)),
        (
            "resource_type",
            admin.RollbackRegistry,
            RollbackRegistryRequest(to_revision=1, resource_type=number, id="a"),
        ),
        ("prune", admin.ImportRegistry, ImportRegistryRequest(registry={}, prune=[number])),
    )
    for field, rpc, request in asked:
        with pytest.raises(SieError) as caught:
            await rpc(request, None)
        assert caught.value.metadata == {"field": field}
