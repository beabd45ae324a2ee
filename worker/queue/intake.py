"""What a worker asks beside the message before it computes a work item."""

from __future__ import annotations

from dataclasses import dataclass, field

from servicekit.payloads import PayloadStore
from servicekit.tracing import Tracer
from worker.queue.broker_clock import BrokerClock
from worker.queue.cancellations import Cancellations


@dataclass(frozen=True, slots=True)
class Intake:
    """Shared by the models of a worker.

    Attributes:
        cancelled: whose work is not to be computed any more.
        payloads: holds requests that are too large for a message.
        clock: tells how old work is.
        tracer: goes on with the traces of gateways.

    """

    cancelled: Cancellations
    payloads: PayloadStore
    clock: BrokerClock
    tracer: Tracer = field(default_factory=Tracer)
