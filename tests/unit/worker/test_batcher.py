"""The batcher, alone: any queue, any limits."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from worker.batching.batcher import BatchLimits, select


@dataclass(frozen=True, eq=False)
class Waiting:
    tokens: int
    arrived: float


queues = st.lists(
    st.builds(Waiting, st.integers(1, 512), st.floats(0, 1e6)), min_size=1, max_size=60
)
limits = st.builds(
    BatchLimits,
    max_tokens=st.integers(1, 4096),
    max_rows=st.integers(1, 64),
    run_cost_tokens=st.integers(0, 64),
)


@given(queues, limits)
def test_the_oldest_text_is_always_in_the_batch(queue, limits):
    batch = select(queue, limits)
    assert min(text.arrived for text in queue) in {text.arrived for text in batch}


@given(queues, limits)
def test_a_batch_holds_texts_of_the_queue_once_each(queue, limits):
    batch = select(queue, limits)
    assert len({id(text) for text in batch}) == len(batch)
    assert {id(text) for text in batch} <= {id(text) for text in queue}


@given(queues, limits)
def test_a_batch_of_several_keeps_every_limit(queue, limits):
    batch = select(queue, limits)
    padded = len(batch) * max(text.tokens for text in batch)
    if len(batch) > 1:
        assert len(batch) <= limits.max_rows
        assert padded <= limits.max_tokens
        padding = padded - sum(text.tokens for text in batch)
        assert padding <= limits.run_cost_tokens * (len(batch) - 1)


@given(queues, limits)
def test_taking_batches_until_none_wait_computes_every_text_once(queue, limits):
    waiting, taken = list(queue), []
    while waiting:
        batch = select(waiting, limits)
        taken += batch
        waiting = [text for text in waiting if text not in batch]
    assert sorted(map(id, taken)) == sorted(map(id, queue))


def test_a_text_longer_than_the_budget_goes_alone():
    long, short = Waiting(5000, 0), Waiting(4, 1)
    assert select([long, short], BatchLimits(1024, 32, 9999)) == [long]


def test_neighbours_in_length_join_the_oldest_before_others():
    oldest, near, far = Waiting(100, 0), Waiting(104, 2), Waiting(20, 1)
    assert select([far, near, oldest], BatchLimits(208, 32, 99)) == [oldest, near]


def test_equal_lengths_fill_the_batch_to_its_budget():
    queue = [Waiting(16, n) for n in range(100)]
    assert len(select(queue, BatchLimits(1024, 32, 4))) == 32


def test_padding_is_accepted_only_while_it_costs_less_than_a_run():
    texts = [Waiting(100, 0), Waiting(104, 1), Waiting(110, 2)]
    assert select(texts, BatchLimits(1024, 32, 4)) == texts[:2]
    assert select(texts, BatchLimits(1024, 32, 12)) == texts


def test_no_stream_takes_what_others_could_compute():
    limits = BatchLimits(1000, 32, 4, full_tokens=100)
    assert limits.shared(800, 2).max_tokens == 250
    assert limits.shared(40, 2).max_tokens == 100
    assert limits.shared(9000, 2).max_tokens == 1000
    assert limits.shared(800, 1) == limits
