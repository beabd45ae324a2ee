"""What waits for the engine: any sequence of arrivals, runs, cancellations and shortages.

Hypothesis prints the steps of a failure, and `@seed` or its example database replays them.
"""

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from worker.batching.batcher import BatchLimits
from worker.batching.waiting_queue import Flow, WaitingQueue

LIMITS = st.builds(
    BatchLimits,
    max_tokens=st.integers(1, 1024),
    max_rows=st.integers(1, 16),
    run_cost_tokens=st.integers(0, 32),
    row_tokens=st.sampled_from([0, 128]),
)


@dataclass(eq=False)
class Text:
    """A text that waits."""

    tokens: int
    flow: Flow
    arrived: float
    turn: float = 0.0


class QueueMachine(RuleBasedStateMachine):
    """A queue, and a model of what it must hold."""

    def __init__(self):
        super().__init__()
        self.queue = WaitingQueue()
        self.waiting: list[Text] = []
        self.ended: list[Text] = []
        self.came = 0

    @rule(
        tokens=st.lists(st.integers(1, 300), max_size=12),
        tenant=st.sampled_from("abc"),
        bulk=st.booleans(),
    )
    def texts_come(self, tokens, tenant, bulk):
        new = [Text(each, Flow(tenant, bulk), self.came) for each in tokens]
        self.came += len(new)
        self.queue.add(new)
        self.waiting += new

    @precondition(lambda self: self.waiting)
    @rule(limits=LIMITS, bulk_may_begin=st.booleans())
    def a_batch_runs(self, limits, bulk_may_begin):
        interactive = self.queue.interactive_tokens > 0
        batch = self.queue.take(limits, limits if bulk_may_begin else None)
        assert bool(batch) == (bulk_may_begin or interactive), "something waits and nothing runs"
        self._end(batch)
        if len(batch) > 1 and not limits.row_tokens:
            assert len(batch) <= limits.max_rows
            assert len(batch) * max(each.tokens for each in batch) <= limits.max_tokens

    @precondition(lambda self: self.waiting)
    @rule(limits=LIMITS)
    def a_batch_comes_back_from_a_run_that_had_no_memory(self, limits):
        batch = self.queue.take(limits, limits)
        self.queue.add(batch)

    @rule(tenant=st.sampled_from("abc"))
    def a_caller_goes_away(self, tenant):
        self._end(self.queue.remove(lambda each: each.flow.tenant == tenant))
        assert all(each.flow.tenant != tenant for each in self.waiting)

    @rule()
    def what_came_first_expires(self):
        first = min((each.arrived for each in self.waiting), default=None)
        self._end(self.queue.remove(lambda each: each.arrived == first))

    @rule(limits=LIMITS)
    def all_is_computed(self, limits):
        while len(self.queue):
            self._end(self.queue.take(limits, limits))
        assert not self.waiting

    def _end(self, texts):
        """Each text ends once: it was waiting until now."""
        for each in texts:
            self.waiting.remove(each)
        self.ended += texts

    @invariant()
    def counts_are_of_what_waits(self):
        interactive = [each.tokens for each in self.waiting if not each.flow.bulk]
        assert len(self.queue) == len(self.waiting)
        assert self.queue.tokens == sum(each.tokens for each in self.waiting)
        assert self.queue.interactive_tokens == sum(interactive)
        assert len(self.waiting) + len(self.ended) == self.came


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
