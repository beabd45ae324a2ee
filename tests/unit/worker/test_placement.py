"""Models take turns in memory: nothing pinned, settling or in use goes before others do."""

from hypothesis import given
from hypothesis import strategies as st

from worker.hosting.placement import (
    Evict,
    Fits,
    Limits,
    Refuse,
    Resident,
    Wait,
    expired,
    place,
    spare,
)

LIMITS = Limits(100)
NOW = 1000.0
TIMES = st.floats(0, NOW)


@st.composite
def resident_lists(draw):
    parts = draw(
        st.lists(st.tuples(st.integers(1, 60), TIMES, TIMES, st.booleans(), st.booleans()))
    )
    return [
        Resident(f"m{number}", size, min(a, b), max(a, b), in_use, pinned)
        for number, (size, a, b, in_use, pinned) in enumerate(parts)
    ]


def settled(each: Resident) -> bool:
    unused = not each.in_use and NOW - each.used_at >= LIMITS.unused_s
    return unused or NOW - each.loaded_at >= LIMITS.min_residence_s


@given(resident_lists(), st.integers(1, 150))
def test_whatever_is_decided_is_right(residents, need):
    decision = place(residents, need, NOW, LIMITS)
    by_id = {each.model_id: each for each in residents}
    taken = sum(each.memory_bytes for each in residents)
    needed = min(need, LIMITS.budget_bytes)
    match decision:
        case Fits():
            assert not residents or taken + needed <= LIMITS.budget_bytes
        case Evict(model_ids):
            chosen = [by_id[model_id] for model_id in model_ids]
            assert len(set(model_ids)) == len(model_ids) > 0
            assert all(settled(each) and not each.pinned for each in chosen)
            freed = sum(each.memory_bytes for each in chosen)
            assert taken - freed + needed <= LIMITS.budget_bytes
            # Without the last of them there would be no room yet.
            assert taken - freed + chosen[-1].memory_bytes + needed > LIMITS.budget_bytes
            kept = [each for each in residents if settled(each) and each not in chosen]
            order = [(each.in_use, each.used_at) for each in chosen]
            assert order == sorted(order)
            assert all(each.pinned or (each.in_use, each.used_at) >= order[-1] for each in kept)
        case Wait(until):
            assert NOW < until <= NOW + LIMITS.min_residence_s
        case Refuse(free):
            assert free < needed


@given(resident_lists(), st.integers(1, 150))
def test_waiting_and_evicting_end_in_room_or_in_a_refusal(residents, need):
    now = NOW
    for _ in range(2 * len(residents) + 2):
        decision = place(residents, need, now, LIMITS)
        match decision:
            case Fits() | Refuse():
                return
            case Wait(until):
                assert until > now
                now = until
            case Evict(model_ids):
                residents = [each for each in residents if each.model_id not in model_ids]
    raise AssertionError("no end")


def test_two_that_do_not_fit_together_take_turns_of_the_least_residence():
    """Requests for both come all the time, for a minute."""
    now, here, loads = 0.0, Resident("a", 80, 0.0, 0.0, in_use=True), 0
    while now < 60:
        decision = place([here], 80, now, LIMITS)
        if isinstance(decision, Evict):
            here = Resident("b" if here.model_id == "a" else "a", 80, now, now, in_use=True)
            loads += 1
        now += 0.1
    assert loads == 5


def test_without_a_budget_everything_fits():
    assert place([Resident("a", 10**12, 0, 0)], 10**12, NOW, Limits(0)) == Fits()


def test_only_what_is_idle_goes_for_being_idle():
    residents = [
        Resident("idle", 1, 0, 10),
        Resident("busy", 1, 0, 10, in_use=True),
        Resident("pinned", 1, 0, 10, pinned=True),
        Resident("fresh", 1, 0, 95),
    ]
    assert expired(residents, 100, 60) == ["idle"]
    assert expired(residents, 100, 0) == []


def test_what_is_spared_is_the_least_recently_used_of_those_without_work():
    residents = [Resident("new", 1, 0, 9), Resident("old", 1, 0, 5)]
    assert spare([*residents, Resident("busy", 1, 0, 1, in_use=True)]) == "old"
    assert spare([Resident("pinned", 1, 0, 1, pinned=True)]) is None
