"""The spans of a run in the traces of those who were in its batch."""

from __future__ import annotations

import time

from worker.batching.runner import Computed
from worker.queue.delivery import Delivery


def trace_run(computed: Computed, engine: str) -> None:
    """Tell the trace of each work item in a batch how long it waited, and of the run."""
    waited: dict[Delivery, float] = {}
    for each in computed.inputs:
        if each.owner is not None and each.owner.delivery.span.recording:
            delivery = each.owner.delivery
            waited[delivery] = min(each.arrived, waited.get(delivery, each.arrived))
    if not waited:
        return
    # Of the clock that runs are timed with.
    epoch = time.time() - time.perf_counter()
    started, ended = epoch + computed.started, epoch + computed.started + computed.seconds
    tokens = sum(each.tokens for each in computed.inputs)
    for delivery, arrived in waited.items():
        delivery.span.child("batch wait", start_s=epoch + arrived).end(started)
        run = delivery.span.child("engine run", start_s=started)
        run.set(sie__batch_rows=len(computed.inputs), sie__batch_tokens=tokens, sie__engine=engine)
        if computed.error is not None:
            run.fail(type(computed.error).__name__)
        run.end(ended)
