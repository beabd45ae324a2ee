"""Texts with what was found in them: `[Marie Curie](person) lived in [Paris](place)`."""

from collections.abc import Iterator, Sequence

import click

from cli.format import table
from sie.inference.v1.result_pb2 import Entity, ExtractResult


def extracted(
    texts: Sequence[str], results: Sequence[ExtractResult], *, coloured: bool
) -> list[str]:
    """A paragraph for each text: the text highlighted, then a table of what was found."""
    lines: list[str] = []
    for text, result in zip(texts, results, strict=True):
        lines.append(highlighted(text, result.entities, coloured=coloured))
        lines.extend(f"  {line}" for line in _found(result))
    return lines


def highlighted(text: str, entities: Sequence[Entity], *, coloured: bool) -> str:
    """The text with its entities marked; of those that overlap, the first."""
    parts: list[str] = []
    done = 0
    for entity in sorted(entities, key=lambda each: (each.start, -each.end)):
        if entity.start >= done:
            parts.append(text[done : entity.start])
            parts.append(_marked(text[entity.start : entity.end], entity.label, coloured=coloured))
            done = entity.end
    return "".join([*parts, text[done:]])


def _marked(words: str, label: str, *, coloured: bool) -> str:
    if not coloured:
        return f"[{words}]({label})"
    return click.style(words, bold=True, underline=True) + click.style(f" {label}", fg="cyan")


def _found(result: ExtractResult) -> Iterator[str]:
    if result.HasField("error"):
        yield f"failed: {result.error.message}"
        return
    rows = [(each.label, each.text, f"{each.score:.3f}") for each in result.entities]
    rows += [(each.label, "", f"{each.score:.3f}") for each in result.classifications]
    tokens = f"{result.input_tokens} tokens" + (", truncated" if result.truncated else "")
    yield from table(rows) if rows else ["nothing found"]
    yield f"({tokens})"
