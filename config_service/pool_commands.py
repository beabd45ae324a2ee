"""What can be asked of the registry's only writer about pools.

Rules are in `pool_rules`; which workers a pool gets is decided in `assignment`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sie.pool.v1.pool_pb2 import PoolSpec, PoolState


@dataclass(frozen=True)
class CreatePool:
    """Creates a pool, or renews the one of that name and gives it the spec."""

    spec: PoolSpec
    expected_revision: int = 0


@dataclass(frozen=True)
class RenewPool:
    """Starts a pool's lease anew."""

    name: str
    expected_revision: int = 0


@dataclass(frozen=True)
class DeletePool:
    """Removes a pool; its workers return to `default`."""

    name: str
    expected_revision: int = 0


@dataclass(frozen=True)
class AssignWorkers:
    """Gives a pool its workers.

    Args:
        name: of the pool.
        workers: machine profile by worker id; all that the pool has from then on.
        state: where the pool stands with them.
        reason: why.
        expected_revision: the assignment was made of the registry at this revision, and holds
            for no other: that is what keeps a worker from being given away twice.
    """

    name: str
    workers: Mapping[str, str]
    state: PoolState
    reason: str
    expected_revision: int


PoolCommand = CreatePool | RenewPool | DeletePool | AssignWorkers
