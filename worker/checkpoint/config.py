"""The JSON files of a checkpoint, read with types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class CheckpointError(Exception):
    """A checkpoint cannot be used: which file, and what is wrong with it."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Config:
    """A JSON object on disk whose entries are read with their type.

    An entry can be asked for by several names, since families and releases spell the same
    thing differently (`hidden_size`, `dim`, `n_embd`); the first that is present counts.
    """

    path: Path
    values: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Config:
        """Raise CheckpointError if the file is missing or is not a JSON object."""
        values = read_json(path)
        if not isinstance(values, dict):
            raise CheckpointError(path, "is not a JSON object")
        return cls(path, values)

    @classmethod
    def read_optional(cls, path: Path) -> Config:
        return cls.read(path) if path.exists() else cls(path, {})

    def integer(self, *names: str) -> int:
        """Raise CheckpointError if the entry is absent or no positive integer."""
        value = self.positive(*names)
        if value is None:
            raise CheckpointError(self.path, f"has no {names[0]}")
        return value

    def positive(self, *names: str) -> int | None:
        """Return a positive integer, or None where the entry is absent or null."""
        value = self._first(names)
        if value is None:
            return None
        # Some tokenizers write their limit as a float (1e30).
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 1:
            raise CheckpointError(self.path, f"{names[0]} is not a positive number: {value!r}")
        return int(value)

    def number(self, *names: str, default: float) -> float:
        value = self._first(names)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise CheckpointError(self.path, f"{names[0]} is not a number: {value!r}")
        return float(value)

    def text(self, *names: str, default: str) -> str:
        value = self._first(names)
        if value is None:
            return default
        if not isinstance(value, str):
            raise CheckpointError(self.path, f"{names[0]} is not a string: {value!r}")
        return value

    def flag(self, *names: str, default: bool) -> bool:
        value = self._first(names)
        return default if value is None else value is True

    def below(self, name: str, defaults: Mapping[str, Any] | None = None) -> Config:
        """Return the object at an entry over the defaults; absent or null is an empty one."""
        values = self.values.get(name) or {}
        if not isinstance(values, dict):
            raise CheckpointError(self.path, f"{name} is not an object: {values!r}")
        return Config(self.path, {**(defaults or {}), **values})

    def _first(self, names: tuple[str, ...]) -> Any:
        given = (self.values[name] for name in names if self.values.get(name) is not None)
        return next(given, None)


def read_json(path: Path) -> Any:
    """Raise CheckpointError if the file is missing or is not JSON."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise CheckpointError(path, "is missing") from None
    except OSError as error:
        raise CheckpointError(path, f"cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(path, f"is not JSON: {error}") from error
