"""Invariants of ARCHITECTURE.md that the sources themselves show."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What each package may import of the project besides itself; `cli` and tests may import all.
_MAY_IMPORT = {
    "servicekit": {"sie"},
    "gateway": {"servicekit", "sie"},
    "config_service": {"servicekit", "sie"},
    "worker": {"servicekit", "sie"},
    "sdk": set(),
}
_OURS = {*_MAY_IMPORT, "cli", "sie", "sie_sdk", "tests", "scripts", "benchmarks"}
_PURE = (
    "worker/batching/batcher.py",
    "worker/hosting/placement.py",
    "worker/batching/fair_queue.py",
    "config_service/registry.py",
    "config_service/assignment.py",
    "gateway/routing.py",
    "gateway/demand.py",
)
_WORLD = {"asyncio", "nats", "os", "random", "socket", "subprocess", "threading", "time"}
_CLOCKS = {"now", "today", "utcnow"}


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("package", _MAY_IMPORT)
def test_imports_point_one_way(package: str) -> None:
    own = "sie_sdk" if package == "sdk" else package
    for file in (ROOT / package).rglob("*.py"):
        ours = {name for name in _imported(file) if name in _OURS}
        assert ours <= _MAY_IMPORT[package] | {own}, file


@pytest.mark.parametrize("module", _PURE)
def test_pure_modules_have_neither_clock_nor_io(module: str) -> None:
    file = ROOT / module
    assert not _WORLD & set(_imported(file))
    attributes = {
        node.func.attr
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not attributes & _CLOCKS


def test_the_environment_is_read_in_one_place() -> None:
    for package in ("servicekit", "gateway", "config_service", "worker"):
        for file in (ROOT / package).rglob("*.py"):
            reads = [
                node.lineno
                for node in ast.walk(ast.parse(file.read_text()))
                if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
            ]
            assert not reads or file == ROOT / "servicekit/settings.py", (file, reads)
