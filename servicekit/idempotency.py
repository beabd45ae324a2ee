"""Idempotency keys, as callers give them: one rule for whoever reads or passes on one."""

from servicekit.errors import invalid

IDEMPOTENCY_KEY = "idempotency-key"
_LONGEST_KEY = 128


def check_key(key: str) -> None:
    """Refuses what is no key: it could not be sent on as metadata, or be told from another.

    Raises:
        SieError: INVALID_INPUT, the key is empty, too long or not visible ASCII.
    """
    is_visible = key.isascii() and key.isprintable() and " " not in key
    if not (is_visible and 1 <= len(key) <= _LONGEST_KEY):
        raise invalid(IDEMPOTENCY_KEY, f"must be 1 to {_LONGEST_KEY} visible ASCII characters")
