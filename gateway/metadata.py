"""What a caller says beside the request: HTTP headers and gRPC metadata, read alike.

A name that comes several times is one list (RFC 9110, 5.3), but for names that can mean one
thing only: which of two keys, tokens or pools counts would be a guess.
"""

from collections.abc import Sequence

from servicekit.errors import invalid
from servicekit.idempotency import IDEMPOTENCY_KEY

_ONCE = frozenset({"authorization", "content-type", "host", IDEMPOTENCY_KEY, "x-request-timeout"})
_OURS = "x-sie-"


class Metadata(dict[str, str]):
    """Values by name, in lower case; several of one name are joined by commas.

    Args:
        pairs: as they came.
    """

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        super().__init__(pairs)
        self._repeated: set[str] = set()
        if len(self) != len(pairs):
            self._join(pairs)

    def check(self) -> None:
        """Refuses what is said twice and can hold once only.

        Raises:
            SieError: INVALID_INPUT, names the first of them.
        """
        for name in sorted(self._repeated):
            if name in _ONCE or name.startswith(_OURS):
                raise invalid(name, "must be given once")

    def _join(self, pairs: Sequence[tuple[str, str]]) -> None:
        self.clear()
        for name, value in pairs:
            if name in self:
                self._repeated.add(name)
                self[name] += f", {value}"
            else:
                self[name] = value
