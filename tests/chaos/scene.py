"""Where a fault happens, and what one is."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.load import Load
from tests.chaos.stack import ChaosStack

SOME = 10


@dataclass(frozen=True)
class Scene:
    """A running cluster under load.

    Args:
        stack: the cluster.
        load: what it serves meanwhile.
        chance: decides what is not said.
        seconds: for how long crashes go on.
        commits: how many are made behind the back of slow watchers.
    """

    stack: ChaosStack
    load: Load
    chance: random.Random
    seconds: float
    commits: int

    def serves(self, more: int = SOME) -> None:
        """Returns when requests are served again, the cluster being whole."""
        self.stack.heal()
        self.load.wait_for_right(more)


Inflict = Callable[[Scene], None]


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    Args:
        name: what people call it.
        inflict: does it; returns when the cluster serves again.
        all_right: whether every request must get its result.
        breaks: whether connections to a gateway may break before the reply.
        restarts: whether a gateway restarts: connections may be refused, and its counts begin anew.
        stack: arguments of a cluster of its own; empty: any will do.
    """

    name: str
    inflict: Inflict
    all_right: bool = False
    breaks: bool = False
    restarts: bool = False
    stack: dict[str, Any] = field(default_factory=dict)
