"""Workers reserved for a tenant, and their leases."""

import logging
import threading
from collections.abc import Mapping
from typing import Any

from sie_sdk._core.failure import Failure, error_of
from sie_sdk._core.plan import Begin, Plan, Sleep, Surroundings, once
from sie_sdk._core.rpcs import (
    CREATE_POOL,
    DELETE_POOL,
    GET_POOL,
    LIST_POOLS,
    RENEW_POOL,
    Call,
    Reply,
    Rpc,
)
from sie_sdk._core.settings import Settings
from sie_sdk.errors import PoolError
from sie_sdk.types import PoolInfo

log = logging.getLogger("sie_sdk")

_RENEW_EVERY_S = 60.0
_RETRY_AFTER_S = (1.0, 2.0, 4.0, 8.0, 10.0)


class Pools:
    """Calls about pools; remembers which of them this client keeps.

    Args:
        settings: of the client.
        around: the clock.
    """

    def __init__(self, settings: Settings, around: Surroundings) -> None:
        self._settings = settings
        self._around = around
        # A renewal ends when its own token is no longer here.
        self._kept: dict[str, object] = {}
        self._lock = threading.Lock()

    def create(
        self,
        name: str,
        gpus: Mapping[str, int],
        *,
        bundle: str | None = None,
        minimum_worker_count: int | None = None,
        ttl_seconds: int | None = None,
    ) -> Plan[PoolInfo]:
        """Creates a pool, or takes part in one of that name, and renews its lease from then on."""
        message = {
            "name": name,
            "gpus": dict(gpus),
            "bundle": bundle,
            "minimum_worker_count": minimum_worker_count,
            "ttl_seconds": ttl_seconds,
        }
        given = {key: value for key, value in message.items() if value is not None}
        pool = yield from self._ask(CREATE_POOL, given)
        every_s = min(_RENEW_EVERY_S, (ttl_seconds or _RENEW_EVERY_S * 4) / 4)
        token = object()
        with self._lock:
            is_kept = name in self._kept
            if not is_kept:
                self._kept[name] = token
        if not is_kept:
            yield Begin(self._keep(name, token, every_s))
        return _info(pool, name)

    def get(self, name: str) -> Plan[PoolInfo | None]:
        """A pool; None: there is none of that name."""
        pool = yield from self._ask(GET_POOL, {"name": name}, absent=None)
        return None if pool is None else _info(pool, name)

    def list(self) -> Plan[list[PoolInfo]]:
        """Every pool that the caller may see."""
        found: list[PoolInfo] = []
        token = ""
        while True:
            page = yield from self._ask(LIST_POOLS, {"page_token": token} if token else {})
            found.extend(_info(pool, pool["spec"]["name"]) for pool in page["pools"])
            if not (token := page.get("next_page_token", "")):
                return found

    def delete(self, name: str) -> Plan[bool]:
        """Deletes a pool; False: there was none of that name."""
        with self._lock:
            self._kept.pop(name, None)
        return (yield from self._ask(DELETE_POOL, {"name": name}, absent=False)) is not False

    def _keep(self, name: str, token: object, every_s: float) -> Plan[None]:
        """Renews a lease until the pool is deleted here or gone there."""
        while True:
            yield Sleep(every_s)
            if self._kept.get(name) is not token:
                return
            outcome = yield from self._renew(name)
            if isinstance(outcome, Failure):
                log.warning("the lease of pool %s was not renewed: %s", name, outcome.message)
                if outcome.status == 404:
                    self._forget(name, token)
                    return

    def _renew(self, name: str) -> Plan[Reply | Failure]:
        call = Call(RENEW_POOL, {"name": name})
        outcome = yield from once(call, self._settings.timeout_s)
        for delay in _RETRY_AFTER_S[:-1]:
            if isinstance(outcome, Reply) or 400 <= outcome.status < 429:
                break
            yield Sleep(delay)
            outcome = yield from once(call, self._settings.timeout_s)
        return outcome

    def _forget(self, name: str, token: object) -> None:
        with self._lock:
            if self._kept.get(name) is token:
                del self._kept[name]

    def _ask(self, rpc: Rpc, message: Mapping[str, Any], **absent: Any) -> Plan[Any]:
        """A reply's value; `absent`, if given, where there is no such pool."""
        outcome = yield from once(Call(rpc, message), self._settings.timeout_s)
        if isinstance(outcome, Reply):
            return outcome.value
        if outcome.status == 404 and absent:
            return absent["absent"]
        if 400 <= outcome.status < 500 and "name" in message:
            raise PoolError(
                outcome.message,
                code=outcome.code or None,
                status_code=outcome.status,
                request_id=outcome.request_id or None,
                retry_after=outcome.retry_after_s,
                metadata={**outcome.metadata, "pool": message["name"]},
            )
        raise error_of(outcome)


def _info(pool: Mapping[str, Any], name: str) -> PoolInfo:
    spec, status = pool.get("spec", {}), pool.get("status", {})
    return {"name": pool.get("name", name), "spec": spec, "status": status}
