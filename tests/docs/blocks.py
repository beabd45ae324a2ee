"""Fenced blocks of Markdown pages, and what the comment above each says of it.

A `console` block says itself what its commands print.

<!-- name: x -->              what tests call it by
<!-- not run: REASON -->      it cannot be run here, and why
<!-- prints -->               what the block before prints, but for numbers and `...`
<!-- prints exactly -->      what the block before prints
<!-- needs: TOOL -->          it is run where the tool is there
<!-- chart -->                what it installs is rendered instead
<!-- values -->               YAML: values that the chart must render
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"^(?:<!-- *(?P<note>[^>]*?) *-->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
NOT_RUN = "not run"


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Args:
        language: the word behind the fence.
        text: what is inside.
        note: of the comment above, the word before the colon.
        about: of the comment above, what stands after the colon.
        line: of the fence in its page, from 1.
    """

    language: str
    text: str
    note: str
    about: str
    line: int

    def steps(self) -> Iterator[tuple[str, str]]:
        """Commands of a `console` block, which follow `$ `, each with what is below it."""
        assert self.text.startswith("$ "), f"line {self.line}: a console block begins with $"
        for step in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            lines = step.splitlines(keepends=True)
            end = next(n for n, line in enumerate(lines, 1) if not line.endswith("\\\n"))
            yield "".join(lines[:end]), "".join(lines[end:])


def blocks_of(page: Path) -> list[Block]:
    """Every fenced block of a page, in its order."""
    content = page.read_text()
    found = []
    for match in _BLOCK.finditer(content):
        note, _, about = (match["note"] or "").partition(":")
        line = content.count("\n", 0, match.start("language")) + 1
        found.append(Block(match["language"], match["text"], note.strip(), about.strip(), line))
    return found


def named_blocks(page: Path) -> dict[str, Block]:
    """Blocks of a page by name; each of the others says why it is not run."""
    named = {}
    for block in blocks_of(page):
        if block.note == "name":
            named[block.about] = block
        else:
            assert (block.note, bool(block.about)) == (NOT_RUN, True), f"{page}:{block.line}"
    return named
