"""Settings of a process: a frozen dataclass filled from the environment, once, where it starts.

Each field declares its variable, and its type says how it is read:

    @dataclass(frozen=True)
    class Settings:
        nats_url: str = setting("SIE_NATS_URL", "nats://127.0.0.1:4222")

Library modules take values; nothing but this module reads the environment.
"""

import dataclasses
import os
import re
from collections.abc import Callable, Mapping
from enum import EnumMeta
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

T = TypeVar("T")

_CREDENTIALS = re.compile(r"://[^/@\s,]+@")


class SettingsError(ValueError):
    """A variable holds what its setting cannot take."""


def setting(variable: str, default: Any = dataclasses.MISSING, *, secret: bool = False) -> Any:
    """A field read from `variable`; without a default the variable must be set."""
    metadata = {"variable": variable, "secret": secret}
    return dataclasses.field(default=default, metadata=metadata)


def from_environment(cls: type[T], environment: Mapping[str, str] | None = None) -> T:
    """Reads every setting of `cls`.

    Raises:
        SettingsError: a variable is missing or does not parse; the message names it.
    """
    environment = os.environ if environment is None else environment
    types = get_type_hints(cls)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        variable = field.metadata["variable"]
        text = environment.get(variable)
        if text is None:
            if field.default is dataclasses.MISSING:
                raise SettingsError(f"{variable} must be set")
            continue
        try:
            values[field.name] = _parser(types[field.name])(text)
        except ValueError as error:
            raise SettingsError(f"{variable}={text!r}: {error}") from None
    return cls(**values)


def describe(settings: Any) -> dict[str, Any]:
    """Every setting with its effective value, secrets hidden, for the log."""
    return {
        field.metadata["variable"]: "***"
        if field.metadata["secret"]
        else without_credentials(str(getattr(settings, field.name)))
        for field in dataclasses.fields(settings)
    }


def without_credentials(text: str) -> str:
    """`nats://user:password@host` -> `nats://***@host`, for every URL in a text."""
    return _CREDENTIALS.sub("://***@", text)


def _boolean(text: str) -> bool:
    try:
        return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
    except KeyError:
        raise ValueError("expected true or false") from None


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _parser(kind: Any) -> Callable[[str], Any]:
    """Return what reads a setting of that type; an enum's own constructor names bad values."""
    return kind if isinstance(kind, EnumMeta) else _PARSERS[kind]


_PARSERS: dict[Any, Callable[[str], Any]] = {
    str: str,
    int: int,
    float: float,
    bool: _boolean,
    Path: lambda text: Path(text).expanduser(),
    Path | None: lambda text: Path(text).expanduser() if text else None,
    tuple[str, ...]: _words,
}
