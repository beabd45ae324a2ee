"""Decides about each call before its request is read."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from google.protobuf.descriptor import MethodDescriptor

from gateway.auth.limiter import Limiter
from gateway.auth.principal import ANYBODY, Principal, bearer_of
from gateway.auth.tokens import Tokens


class Access(Enum):
    """What a call asks of the caller."""

    OPEN = auto()  # nothing: probes carry no credentials
    READ = auto()  # a token for all models
    USE = auto()  # a known token; checked again where model and pool are known
    COMPUTE = auto()  # the same, and what is left of the tenant's quota of tokens
    RESERVE = auto()  # the right to manage the pool that the request names
    ADMIN = auto()


_USED = (
    "sie.batch.v1.BatchService",
    "sie.batch.v1.FileService",
    "sie.inference.v1.ModelService",
    "inference.GRPCInferenceService",
)
_INFER = "inference.GRPCInferenceService.ModelInfer"
_COMPUTING = (
    "sie.inference.v1.InferenceService",
    "sie.compat.v1.OpenAIService",
    "sie.compat.v1.RerankService",
    "sie.compat.v1.TeiService",
    "sie.compat.v1.TeiTextService",
)
_READ = ("sie.registry.v1.RegistryService", "sie.registry.v1.RegistryStatusService")
_PROBES = (
    "inference.GRPCInferenceService.ServerLive",
    "inference.GRPCInferenceService.ServerReady",
)
_POOLS = "sie.pool.v1.PoolService"


def access_of(method: MethodDescriptor) -> Access:
    """What an rpc asks for. Services that are not listed here are the administrator's."""
    service = method.containing_service.full_name
    options: Any = method.GetOptions()
    reads = options.idempotency_level == options.NO_SIDE_EFFECTS
    if method.full_name in _PROBES:
        return Access.OPEN
    if service in _READ and reads:
        return Access.READ
    if method.full_name == _INFER or (service in _COMPUTING and not reads):
        return Access.COMPUTE
    if service in _USED + _COMPUTING or (service == _POOLS and reads):
        return Access.USE
    return Access.RESERVE if service == _POOLS else Access.ADMIN


@dataclass(slots=True)
class Admission:
    """A call that was let in.

    Attributes:
        principal: the caller.
        tokens: input tokens that the call has taken so far.
    """

    principal: Principal
    tokens: int = 0


class Guard:
    """Knows callers by their tokens, and holds tenants to their limits.

    Args:
        tokens: None lets everybody do everything.
        clock: seconds, monotonic.
    """

    def __init__(self, tokens: Tokens | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._tokens = tokens
        self._limiter = Limiter()
        self._clock = clock

    def identify(self, metadata: Mapping[str, str]) -> Principal:
        """Who calls.

        Raises:
            SieError: UNAUTHENTICATED.
        """
        if self._tokens is None:
            return ANYBODY
        return self._tokens.principal(bearer_of(metadata))

    @contextlib.contextmanager
    def admit(
        self, access: Access, metadata: Mapping[str, str], principal: Principal | None = None
    ) -> Iterator[Admission]:
        """Lets a call in for as long as it lasts; `principal` calls, or whom `metadata` names.

        Raises:
            SieError: UNAUTHENTICATED, PERMISSION_DENIED or QUOTA_EXCEEDED.
        """
        if access is Access.OPEN:
            yield Admission(Principal())
            return
        admission = Admission(principal or self.identify(metadata))
        if access is Access.ADMIN:
            admission.principal.check_admin()
        elif access is Access.READ:
            admission.principal.check_reads()
        takes_tokens = access is Access.COMPUTE
        self._limiter.enter(admission.principal, self._clock(), takes_tokens=takes_tokens)
        try:
            yield admission
        finally:
            self._limiter.leave(admission.principal, admission.tokens, self._clock())
