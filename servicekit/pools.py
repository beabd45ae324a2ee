"""What the registry says about who is in which pool."""

from collections.abc import Iterable

from servicekit.errors import SieError
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.pool.v1.pool_pb2 import Pool

# Names come from callers; all real ones are shorter.
_LONGEST_SHOWN = 80


def assignments(pools: Iterable[Pool]) -> dict[str, str]:
    """Pool by worker id. Workers that are not here serve `default`."""
    return {
        worker.name: pool.spec.name for pool in pools for worker in pool.status.assigned_workers
    }


def pool_not_found(name: str) -> SieError:
    shown = name[:_LONGEST_SHOWN]
    return SieError(
        ErrorReason.ERROR_REASON_POOL_NOT_FOUND, f"there is no pool '{shown}'", pool=shown
    )
