"""Tables of cases in tests/cases, each the same over every protocol."""

import functools
from pathlib import Path
from typing import Any

import yaml

_FOLDER = Path(__file__).parents[1] / "cases"


@functools.cache
def read(name: str) -> list[dict[str, Any]]:
    """The cases of a file. Every process of a run reads them, so by the parser that is in C."""
    cases: list[dict[str, Any]] = yaml.load((_FOLDER / name).read_text(), yaml.CSafeLoader)
    return cases
