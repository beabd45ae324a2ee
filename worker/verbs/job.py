"""What a verb brings to the worker: a work item while it is computed.

Delivery ─► Job.prepare ─► inputs ─► Runner ─► Job.put or Job.fail ─► done ─► Job.finish
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from servicekit.errors import SieError
from worker.batching.packing import Input
from worker.checkpoint.heads import Output
from worker.queue.delivery import Delivery


class Job(Protocol):
    """One work item of one verb.

    Made from a delivery, the model's definition and the loaded model; making one raises SieError
    where the request asks for what the model does not give. `worker.verbs.answers.Answers` keeps
    what every implementation needs.
    """

    @property
    def delivery(self) -> Delivery:
        """The work item, and the message to acknowledge."""

    @property
    def outputs(self) -> frozenset[Output]:
        """The engine's outputs that the results are made from."""

    @property
    def size(self) -> int:
        """How much there is to prepare, in characters of text or what takes as long."""

    @property
    def done(self) -> bool:
        """Whether every item has a result or an error."""

    def prepare(self) -> Sequence[tuple[int, Input]]:
        """Turn the items into inputs of the engine, each with an index of the job's choosing.

        Runs in a thread if there is much to prepare, and nothing else touches the job
        meanwhile. Items that cannot be computed have their error set, and no input.
        """

    def put(self, index: int, outputs: Mapping[str, NDArray[np.float32]], row: int) -> None:
        """Take what the engine made of an input: a row of its outputs."""

    def fail(self, index: int, error: SieError) -> None:
        """Take what went wrong with an input."""

    async def finish(self) -> None:
        """Reply and acknowledge."""
