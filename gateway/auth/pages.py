"""Who may read the fixed paths, which are no rpcs."""

import hmac
from collections.abc import Mapping

from gateway.auth.guard import Guard
from gateway.auth.principal import ANYBODY, Principal, bearer_of
from servicekit.errors import SieError
from sie.errors.v1.error_reason_pb2 import ErrorReason

# Probes carry no credentials, and the API's description tells nothing about anybody.
_OPEN = frozenset({"/", "/healthz", "/readyz", "/openapi.json"})
# The console asks for the token itself.
_OPEN_BELOW = "/console/"
_METRICS = "/metrics"


class PageRules:
    """The rules of the fixed paths.

    Args:
        guard: knows the callers.
        metrics_token: what a scraper sends; empty leaves `/metrics` open.
        open_operational: leave everything else open as well.
    """

    def __init__(self, guard: Guard, metrics_token: str, *, open_operational: bool) -> None:
        self._guard = guard
        self._metrics_token = metrics_token.encode()
        self._open_operational = open_operational

    def check(self, path: str, metadata: Mapping[str, str]) -> Principal:
        """Who reads the page: anybody, where it is open.

        Raises:
            SieError: UNAUTHENTICATED; the caller may not.
        """
        if path in _OPEN or path.startswith(_OPEN_BELOW):
            return ANYBODY
        if path == _METRICS:
            self._check_scraper(metadata)
        elif not self._open_operational:
            return self._guard.identify(metadata)
        return ANYBODY

    def _check_scraper(self, metadata: Mapping[str, str]) -> None:
        if not self._metrics_token:
            return
        sent = bearer_of(metadata).encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(sent, self._metrics_token):
            raise SieError(
                ErrorReason.ERROR_REASON_UNAUTHENTICATED,
                "metrics are read with the token of SIE_METRICS_TOKEN",
            )
