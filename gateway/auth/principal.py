"""Who a caller is: what a token stands for."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from servicekit.defaults import DEFAULT_TENANT
from servicekit.errors import SieError
from sie.errors.v1.error_reason_pb2 import ErrorReason

# Calls of one stream that keep several workers busy with small requests.
_IN_HAND = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """What a tenant may take of one gateway; 0 is no bound.

    Args:
        tokens_per_minute: input tokens, after truncation.
        concurrent_requests: calls in flight.
    """

    tokens_per_minute: int = 0
    concurrent_requests: int = 0


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller.

    Args:
        tenant: whose work it is; shares limits, fairness and metrics.
        admin: whether it may write the registry and see dead letters.
        reserves: whether it may manage pools beside those named in `pools`.
        pools: the pools that it may use and manage; empty is all that `reserves` allows.
        models: patterns such as `BAAI/*` of the models that it may use; empty is all.
        limits: its tenant's.
    """

    tenant: str = DEFAULT_TENANT
    admin: bool = False
    reserves: bool = False
    pools: frozenset[str] = frozenset()
    models: tuple[str, ...] = ()
    limits: Limits = Limits()

    @property
    def in_hand(self) -> int:
        """Calls of one stream that are made at a time: its other calls are not to be refused."""
        return min(_IN_HAND, self.limits.concurrent_requests or _IN_HAND)

    def sees(self, model_id: str) -> bool:
        """Whether the caller may use the model, and so learn of it."""
        return not self.models or any(fnmatchcase(model_id, pattern) for pattern in self.models)

    def check_model(self, model_id: str) -> None:
        """Raises SieError, PERMISSION_DENIED, unless the caller may use the model."""
        if not self.sees(model_id):
            raise _denied(f"this token may not use model '{model_id}'")

    def reaches(self, pool: str) -> bool:
        """Whether the caller may send work to the pool, and so learn of it."""
        return not self.pools or pool in self.pools

    def check_pool(self, pool: str) -> None:
        """Raises SieError, PERMISSION_DENIED, unless the caller may send work to the pool."""
        if not self.reaches(pool):
            raise _denied(f"this token may not use pool '{pool}'")

    def check_reserves(self, pool: str) -> None:
        """Raises SieError, PERMISSION_DENIED, unless the caller may manage the pool."""
        if not (self.admin or pool in self.pools or (self.reserves and not self.pools)):
            raise _denied(f"this token may not manage pool '{pool}'")

    def check_reads(self) -> None:
        """Raises SieError, PERMISSION_DENIED, unless the caller may read the whole registry."""
        if self.models:
            raise _denied("this token is for some models, and may not read the registry")

    def check_admin(self) -> None:
        """Raises SieError, PERMISSION_DENIED, unless the caller is an administrator."""
        if not self.admin:
            raise _denied("this call needs the admin token")


# Everybody, where no authentication is asked for.
ANYBODY = Principal(admin=True, reserves=True)


def bearer_of(metadata: Mapping[str, str]) -> str:
    """The token of `authorization: Bearer TOKEN`, or of a bare `authorization: TOKEN`."""
    scheme, _, rest = metadata.get("authorization", "").strip().partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else scheme


def _denied(message: str) -> SieError:
    return SieError(ErrorReason.ERROR_REASON_PERMISSION_DENIED, message)
