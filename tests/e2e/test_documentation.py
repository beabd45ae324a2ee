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

_DOCS = ROOT / "docs"
PAGES = sorted(page.stem for page in _DOCS.glob("*.md"))
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


@pytest.fixture
def place(stack: LocalStack, tmp_path: Path) -> Iterator[Place]:
    with Place(tmp_path, stack.http_address, stack.grpc_address, include=False) as place:
        yield place


def _alike(printed: str, documented: str) -> bool:
    """Whether both are the same but for numbers, spaces, and what `...` leaves out."""
    found, wanted = (" ".join(_NUMBER.sub("0", text).split()) for text in (printed, documented))
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


@pytest.mark.parametrize("page", PAGES)
def test_a_page(page: str, place: Place) -> None:
    names: dict = {}
    printed = ""
    for block in blocks_of(_DOCS / f"{page}.md"):
        if block.note == NOT_RUN:
            assert block.about, f"{page}:{block.line} does not say why"
        elif block.note == "prints":
            assert _alike(printed, block.text), f"{page}:{block.line}\n{printed[:2000]}"
        else:
            printed = _run(block, place, names)


def test_outputs_are_compared() -> None:
    assert _alike('{"a": 1.5, "b": [1, 2]}', '{"a": 2,\n"b": [...]}')
    assert not _alike('{"a": 1}', '{"b": 1}')
