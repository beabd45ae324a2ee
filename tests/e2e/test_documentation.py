"""Every command and snippet of the documentation runs as written, and prints what it says."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cli.local_stack import LocalStack
from tests.charts.rendering import ROOT, of_kind, render, tool
from tests.docs.blocks import NOT_RUN, Block, blocks_of
from tests.docs.running import Place

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


@pytest.fixture
def place(stack: LocalStack, tmp_path: Path) -> Iterator[Place]:
    with Place(tmp_path, stack.http_address, stack.grpc_address, include=False) as place:
        yield place


def _alike(printed: str, documented: str) -> bool:
    """Whether both are the same but for numbers, spaces, and what `...` leaves out."""
    found, wanted = ("".join(_NUMBER.sub("0", text).split()) for text in (printed, documented))
    pattern = ".*".join(re.escape(part) for part in wanted.split("..."))
    return re.match(pattern, found, re.DOTALL) is not None


def _run(block: Block, place: Place, names: dict) -> str:
    if block.note == "needs":
        tool(block.about)
    if block.note == "chart":
        tool("helm")
    if block.language == "python":
        return place.python(block.text, names)
    if block.language == "sh":
        return place.shell(block.text)
    assert block.language == "yaml", f"a {block.language or 'nameless'} block at line {block.line}"
    assert block.note == "values", "say what the YAML is"
    objects = render("", values=yaml.safe_dump(yaml.safe_load(block.text)))
    return str(len(of_kind(objects, "Deployment")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page(page: Path, place: Place) -> None:
    names: dict = {}
    printed = ""
    for block in blocks_of(page):
        where = f"{page.name}:{block.line}"
        if block.note == NOT_RUN:
            assert block.about, f"{where} does not say why"
        elif block.note == "prints exactly":
            assert printed == block.text, where
        elif block.note == "prints":
            assert _alike(printed, block.text), f"{where}\n{printed[:2000]}"
        elif block.language == "console":
            for command, output in block.steps():
                printed = place.shell(command)
                assert _alike(printed, output), f"{where}\n{printed[:2000]}"
        else:
            printed = _run(block, place, names)


def test_outputs_are_compared() -> None:
    assert _alike('{"a": 1.5, "b": [1, 2]}', '{"a": 2,\n"b": [...]}')
    assert not _alike('{"a": 1}', '{"b": 1}')


def test_a_console_block_is_commands_with_what_each_prints() -> None:
    block = Block("console", "$ a \\\n  b\n1\n2\n$ c\n", "", "", 1)
    assert list(block.steps()) == [("a \\\n  b\n", "1\n2\n"), ("c\n", "")]
