import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.managed_process import ManagedProcess, kill_all

MakeChild = Callable[..., ManagedProcess]


@pytest.fixture
def make_child(tmp_path: Path) -> Iterator[MakeChild]:
    """Makes children out of lines of Python; those that still run at the end are killed."""
    made: list[ManagedProcess] = []

    def make(code: str, name: str = "child", **options: Any) -> ManagedProcess:
        command = [sys.executable, "-u", "-c", code]
        child = ManagedProcess(name, command, tmp_path / f"{name}.log", env={}, **options)
        made.append(child)
        return child

    yield make
    kill_all(made)
