"""Names of machine profiles as callers write them."""

from collections.abc import Collection

_SPOT = "-spot"


def resolve_profile(name: str, configured: Collection[str]) -> str | None:
    """The configured profile that a name means: itself, in whatever case, or its spot variant."""
    lower = name.strip().lower()
    return next((each for each in (lower, lower + _SPOT) if each in configured), None)
