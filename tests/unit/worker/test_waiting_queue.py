"""Whose turn it is, alone: any arrivals, any limits."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from worker.batching.batcher import BatchLimits
from worker.batching.waiting_queue import Flow, WaitingQueue


@dataclass(eq=False)
class Text:
    tokens: int
    flow: Flow
    arrived: float = 0.0
    turn: float = 0.0


flows = st.builds(Flow, st.sampled_from("abc"), st.booleans())
texts = st.lists(st.tuples(st.integers(1, 300), flows), max_size=40)
# Arrivals, each followed by some batches that are taken.
histories = st.lists(st.tuples(texts, st.integers(0, 4)), max_size=8)
# How many of those that wait are looked at.
fronts = st.sampled_from([1, 2, 8, 1024])
limits = st.builds(
    BatchLimits,
    max_tokens=st.integers(1, 2048),
    max_rows=st.integers(1, 32),
    run_cost_tokens=st.integers(0, 32),
)


def text(tokens, tenant="a", bulk=False):
    return Text(tokens, Flow(tenant, bulk))


def drain(queue, limits):
    while len(queue):
        yield queue.take(limits, limits)


@given(histories, limits, fronts)
def test_everything_that_came_is_taken_once(history, limits, front):
    queue, came, taken = WaitingQueue(front), [], []
    for number, (arrivals, batches) in enumerate(history):
        new = [Text(tokens, flow, number) for tokens, flow in arrivals]
        queue.add(new)
        came += new
        for _ in range(batches):
            if len(queue):
                taken += queue.take(limits, limits)
    for batch in drain(queue, limits):
        taken += batch
    assert sorted(map(id, taken)) == sorted(map(id, came))
    assert (queue.tokens, queue.interactive_tokens) == (0, 0)


@given(histories, limits, fronts)
def test_the_next_turn_is_in_the_batch_however_few_are_in_front(history, limits, front):
    queue = WaitingQueue(front)
    for number, (arrivals, batches) in enumerate(history):
        queue.add([Text(tokens, flow, number) for tokens, flow in arrivals])
        for _ in range(batches):
            waiting = list(queue)
            batch = queue.take(limits, limits) if waiting else []
            nexts = {
                id(min(of, key=lambda each: (each.turn, each.arrived)))
                for bulk in (False, True)
                if (of := [each for each in waiting if each.flow.bulk is bulk])
            }
            assert not waiting or nexts & set(map(id, batch))


@given(histories, limits)
def test_a_batch_of_several_keeps_its_bounds(history, limits):
    queue = WaitingQueue()
    for number, (arrivals, _) in enumerate(history):
        queue.add([Text(tokens, flow, number) for tokens, flow in arrivals])
    for batch in drain(queue, limits):
        if len(batch) > 1:
            assert len(batch) <= limits.max_rows
            assert len(batch) * max(each.tokens for each in batch) <= limits.max_tokens
        assert batch == sorted(batch, key=lambda each: each.tokens)


@given(st.integers(1, 200), st.integers(1, 100))
def test_interactive_work_goes_before_bulk_work_that_came_first(bulk, tokens):
    queue, alone = WaitingQueue(), BatchLimits(1, 1, 0)
    queue.add([text(tokens, bulk=True) for _ in range(bulk)])
    queue.take(alone, alone)
    queue.add([text(tokens)])
    assert not queue.take(alone, alone)[0].flow.bulk


@given(st.integers(1, 64))
def test_bulk_work_gets_a_tenth_while_interactive_work_never_ends(tokens):
    queue, alone = WaitingQueue(), BatchLimits(1, 1, 0)
    queue.add([text(tokens, bulk=True) for _ in range(100)])
    served = []
    for _ in range(100):
        queue.add([text(tokens), text(tokens)])
        served += queue.take(alone, alone)
    assert 9 <= sum(each.flow.bulk for each in served) <= 11


@given(st.integers(2, 500), st.integers(1, 64), fronts)
def test_a_tenant_with_one_text_waits_for_one_batch_of_a_tenant_with_many(many, tokens, front):
    queue, alone = WaitingQueue(front), BatchLimits(1, 1, 0)
    queue.add([text(tokens, "heavy") for _ in range(many)])
    queue.take(alone, alone)
    queue.add([text(tokens, "light")])
    tenants = [queue.take(alone, alone)[0].flow.tenant for _ in range(min(2, many))]
    assert "light" in tenants


@given(st.lists(st.integers(1, 100), min_size=20, max_size=60), st.integers(1, 100))
def test_tenants_that_always_wait_get_the_same_number_of_tokens(sizes, other):
    queue, alone = WaitingQueue(), BatchLimits(1, 1, 0)
    queue.add([text(size, "a") for size in sizes])
    queue.add([text(other, "b") for _ in sizes])
    had = {"a": 0, "b": 0}
    while len({each.flow.tenant for each in queue}) == 2:
        (taken,) = queue.take(alone, alone)
        had[taken.flow.tenant] += taken.tokens
    assert abs(had["a"] - had["b"]) <= 2 * max(*sizes, other)


def test_bulk_work_fills_the_room_that_interactive_work_leaves():
    queue = WaitingQueue()
    queue.add([text(10), text(20)])
    queue.add([text(15, bulk=True), text(30, bulk=True)])
    limits = BatchLimits(1000, 32, 100)
    batch = queue.take(limits, limits)
    assert [each.tokens for each in batch] == [10, 15, 20]


def test_interactive_work_does_not_wait_for_more_bulk_work_than_a_run_costs():
    queue = WaitingQueue()
    queue.add([text(10), *(text(10, bulk=True) for _ in range(50))])
    limits = BatchLimits(1000, 32, run_cost_tokens=30)
    assert [each.flow.bulk for each in queue.take(limits, limits)] == [False, True, True, True]


def test_where_bulk_work_may_not_begin_a_batch_only_other_work_is_taken():
    queue, limits = WaitingQueue(), BatchLimits(1000, 32, 0)
    queue.add([text(10, bulk=True)])
    assert queue.take(limits, None) == []
    queue.add([text(20)])
    assert [each.tokens for each in queue.take(limits, None)] == [20]
    assert [each.tokens for each in queue.take(limits, limits)] == [10]


def test_the_longest_of_what_came_together_goes_first():
    queue = WaitingQueue()
    queue.add([text(10), text(200), text(50)])
    alone = BatchLimits(1000, 1, 1)
    assert [batch[0].tokens for batch in drain(queue, alone)] == [200, 50, 10]


@given(histories, limits, st.sampled_from("abc"), fronts)
def test_what_is_removed_is_never_taken(history, limits, tenant, front):
    queue = WaitingQueue(front)
    for number, (arrivals, batches) in enumerate(history):
        queue.add([Text(tokens, flow, number) for tokens, flow in arrivals])
        for _ in range(batches):
            if len(queue):
                queue.take(limits, limits)
    queue.remove(lambda each: each.flow.tenant == tenant)
    for batch in drain(queue, limits):
        assert tenant not in {each.flow.tenant for each in batch}
    assert queue.tokens == 0
