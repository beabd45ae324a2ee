"""From settings to the tokens that are known. A wrong combination refuses to start."""

from collections.abc import Sequence
from pathlib import Path

from gateway.auth.tokens import Tokens, read_tokens, static_tokens
from servicekit.settings import SettingsError

_OPEN, _STATIC = "none", "static"


def tokens_of(
    mode: str, tokens: Sequence[str], admin_token: str, file: Path | None
) -> Tokens | None:
    """The tokens that are known, or None where nobody needs one.

    Args:
        mode: `none`, or `static` (`token` means the same).
        tokens: of SIE_AUTH_TOKEN.
        admin_token: of SIE_ADMIN_TOKEN, or empty.
        file: of SIE_AUTH_FILE.

    Raises:
        SettingsError: the mode is not known, or does not go with the rest.
        TokenFileError: the file cannot be used.
    """
    given = bool(tokens or admin_token or file)
    if mode == _OPEN:
        if given:
            raise SettingsError("SIE_AUTH_MODE=none, yet tokens are given: set it to static")
        return None
    if mode not in (_STATIC, "token"):
        raise SettingsError(f"SIE_AUTH_MODE={mode!r}: must be none or static")
    known = static_tokens(tokens, admin_token) | (read_tokens(file) if file else {})
    if not known:
        raise SettingsError(
            f"SIE_AUTH_MODE={mode} needs SIE_AUTH_TOKEN, SIE_ADMIN_TOKEN or SIE_AUTH_FILE"
        )
    return Tokens(known)
