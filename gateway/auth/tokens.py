"""Tokens and the principals behind them.

Tokens are kept and looked up as SHA-256 digests: a comparison tells by its time at most how a
digest begins, from which no token can be guessed.

The file of SIE_AUTH_FILE, YAML or JSON:

    tokens:
      - sha256: 64 hex digits       # or `token:` in clear
        tenant: acme
        admin: false
        pools: [acme]
        models: ["BAAI/*"]
        limits: {tokens_per_minute: 1000000, concurrent_requests: 64}
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from gateway.auth.principal import Limits, Principal
from servicekit.defaults import DEFAULT_TENANT
from servicekit.errors import SieError
from sie.errors.v1.error_reason_pb2 import ErrorReason

_FIELDS = {"sha256", "token", "tenant", "admin", "pools", "models", "limits"}
_LIMITS = {"tokens_per_minute", "concurrent_requests"}
_DIGEST_CHARACTERS = 64


class TokenFileError(ValueError):
    """The file of tokens cannot be used; the message names the entry and the field."""


class Tokens:
    """What each token stands for.

    Args:
        principals: by SHA-256 of the token, in hex.
    """

    def __init__(self, principals: Mapping[str, Principal]) -> None:
        self._principals = dict(principals)

    def __len__(self) -> int:
        return len(self._principals)

    def principal(self, token: str) -> Principal:
        """Who holds the token.

        Raises:
            SieError: UNAUTHENTICATED.
        """
        found = self._principals.get(digest(token)) if token else None
        if found is None:
            problem = "the token is not known" if token else "a token is needed"
            raise SieError(
                ErrorReason.ERROR_REASON_UNAUTHENTICATED,
                f"{problem}: send 'Authorization: Bearer TOKEN'",
            )
        return found


def digest(token: str) -> str:
    """SHA-256 of a token, in hex."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def static_tokens(tokens: Iterable[str], admin_token: str) -> dict[str, Principal]:
    """Principals of SIE_AUTH_TOKEN and SIE_ADMIN_TOKEN.

    Tokens of the list use everything. They also manage pools while nobody else is named who
    does; registry and dead letters are the administrator's alone.
    """
    user = Principal(reserves=not admin_token)
    principals = {digest(token): user for token in tokens}
    if admin_token:
        principals[digest(admin_token)] = Principal(admin=True, reserves=True)
    return principals


def read_tokens(path: Path) -> dict[str, Principal]:
    """Principals of a file.

    Raises:
        TokenFileError: it cannot be read, or an entry of it cannot be used.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        # A parser's message quotes the file, and with it a token.
        raise TokenFileError(f"{path}: {type(error).__name__}") from None
    if not isinstance(content, dict) or set(content) != {"tokens"}:
        raise TokenFileError(f"{path}: must be a map with the one key 'tokens'")
    if not isinstance(content["tokens"], list):
        raise TokenFileError(f"{path}: tokens must be a list")
    principals: dict[str, Principal] = {}
    for index, entry in enumerate(content["tokens"]):
        where = f"{path}: tokens[{index}]"
        key, principal = _entry(entry, where)
        if key in principals:
            raise TokenFileError(f"{where}: the token stands there twice")
        principals[key] = principal
    return principals


def _entry(entry: Any, where: str) -> tuple[str, Principal]:
    if not isinstance(entry, dict):
        raise TokenFileError(f"{where}: must be a map")
    if unknown := set(entry) - _FIELDS:
        raise TokenFileError(f"{where}: unknown field {min(map(str, unknown))!r}")
    principal = Principal(
        tenant=_text(entry.get("tenant", DEFAULT_TENANT), f"{where}.tenant"),
        admin=_flag(entry.get("admin", False), f"{where}.admin"),
        pools=frozenset(_texts(entry.get("pools", []), f"{where}.pools")),
        models=tuple(_texts(entry.get("models", []), f"{where}.models")),
        limits=_limits(entry.get("limits", {}), f"{where}.limits"),
    )
    return _key(entry, where), principal


def _key(entry: Mapping[str, Any], where: str) -> str:
    if ("sha256" in entry) == ("token" in entry):
        raise TokenFileError(f"{where}: exactly one of sha256 and token is needed")
    if "token" in entry:
        return digest(_text(entry["token"], f"{where}.token"))
    text = _text(entry["sha256"], f"{where}.sha256").lower()
    if len(text) != _DIGEST_CHARACTERS or set(text) - set("0123456789abcdef"):
        raise TokenFileError(f"{where}.sha256: must be {_DIGEST_CHARACTERS} hex digits")
    return text


def _limits(value: Any, where: str) -> Limits:
    if not isinstance(value, dict) or set(value) - _LIMITS:
        raise TokenFileError(f"{where}: must be a map of {', '.join(sorted(_LIMITS))}")
    for name, number in value.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise TokenFileError(f"{where}.{name}: must be a whole number from 0")
    return Limits(**value)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TokenFileError(f"{where}: must be a text that is not empty")
    return value.strip()


def _texts(value: Any, where: str) -> list[str]:
    if not isinstance(value, list):
        raise TokenFileError(f"{where}: must be a list")
    return [_text(each, f"{where}[{index}]") for index, each in enumerate(value)]


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise TokenFileError(f"{where}: must be true or false")
    return value
