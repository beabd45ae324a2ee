"""Writes the chart's values.schema.json and README.md from the comments of values.yaml.

python scripts/chart_docs.py [--check]

The comment above a key explains it. Words that begin with `@` tell more than the default:

    @enum: a, b      these values only; `""` is the empty string
    @min: 0          a number's least value
    @max: 1          a number's greatest value
    @pattern: ^a     what a string looks like, a regular expression; all of them but the empty one
    @types: a, b     JSON types, where the default shows only one
    @free            a map with any content; so is every map that is empty by default
    @open            a map in which unknown keys are let through
    @like: a.b.c     a map of entries, each with the keys of that one
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_CHART = Path(__file__).resolve().parent.parent / "charts" / "sie-cluster"
_KEY = re.compile(r"^( *)([A-Za-z0-9][\w.-]*):")
_JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
KeyPath = tuple[str, ...]


@dataclass
class Comment:
    """What stands above a key.

    Args:
        text: the sentences.
        tags: the words that begin with `@`, and what follows them.
    """

    text: str = ""
    tags: dict[str, str] = field(default_factory=dict)


def comments(lines: list[str]) -> dict[KeyPath, Comment]:
    """The comment of each key, by its path."""
    found: dict[KeyPath, Comment] = {}
    above: list[str] = []
    path: list[tuple[int, str]] = []
    for line in lines:
        stripped = line.strip()
        if stripped.startswith("#"):
            above.append(stripped[1:].strip())
        elif match := _KEY.match(line):
            indent = len(match[1])
            path = [(depth, name) for depth, name in path if depth < indent]
            path.append((indent, match[2]))
            found[tuple(name for _, name in path)] = _comment(above)
            above = []
        else:
            above = []
    return found


def _comment(lines: list[str]) -> Comment:
    tags = dict(_tag(line) for line in lines if line.startswith("@"))
    return Comment(" ".join(line for line in lines if not line.startswith("@")), tags)


def _tag(line: str) -> tuple[str, str]:
    name, _, rest = line[1:].partition(":")
    return name, rest.strip()


class Schema:
    """JSON schemas of values.

    Args:
        values: the defaults.
        notes: comments by path.
    """

    def __init__(self, values: dict[str, Any], notes: dict[KeyPath, Comment]) -> None:
        self._values = values
        self._notes = notes

    def document(self) -> dict[str, Any]:
        root = self._object(self._values, ())
        return {"$schema": "http://json-schema.org/draft-07/schema#", **root}

    def _of(self, value: Any, path: KeyPath) -> dict[str, Any]:
        note = self._notes.get(path, Comment())
        schema = self._shape(value, path, note)
        if note.text:
            schema["description"] = note.text
        if "enum" in note.tags:
            schema["enum"] = [_scalar(word, value) for word in note.tags["enum"].split(",")]
        for tag, keyword in (("min", "minimum"), ("max", "maximum")):
            if tag in note.tags:
                schema[keyword] = int(note.tags[tag])
        if "pattern" in note.tags:
            schema["pattern"] = f"^$|{note.tags['pattern']}"
        if "types" in note.tags:
            schema["type"] = [word.strip() for word in note.tags["types"].split(",")]
        return schema

    def _shape(self, value: Any, path: KeyPath, note: Comment) -> dict[str, Any]:
        match value:
            case dict() if not value or "free" in note.tags:
                return {"type": "object"}
            case dict() if "like" in note.tags:
                like = tuple(note.tags["like"].split("."))
                entry = self._of(_at(self._values, like), like)
                return {"type": "object", "additionalProperties": entry}
            case dict():
                return self._object(value, path, is_open="open" in note.tags)
            case list():
                return {"type": "array"}
            case float():
                return {"type": "number"}
            case _:
                return {"type": _JSON_TYPES[type(value)]}

    def _object(self, value: dict[str, Any], path: KeyPath, *, is_open: bool = False) -> Any:
        properties = {key: self._of(each, (*path, key)) for key, each in value.items()}
        return {"type": "object", "properties": properties, "additionalProperties": is_open}


def _scalar(word: str, like: Any) -> Any:
    word = word.strip()
    if isinstance(like, int | float):
        return float(word) if "." in word else int(word)
    return word.strip('"')


def _at(values: Any, path: KeyPath) -> Any:
    for name in path:
        values = values[name]
    return values


def rows(values: dict[str, Any], notes: dict[KeyPath, Comment]) -> Iterator[tuple[str, str, str]]:
    """Key, default and meaning of every value that can be set."""

    def walk(value: Any, path: KeyPath, inside: str) -> Iterator[tuple[str, str, str]]:
        note = notes.get(path, Comment())
        text = " ".join(filter(None, [inside, note.text]))
        if isinstance(value, dict) and value and "free" not in note.tags:
            entries = value.items()
            if like := note.tags.get("like"):
                name = like.rpartition(".")[2]
                entries = {name: value[name]}.items()
            for key, each in entries:
                yield from walk(
                    each, (*path, key), text if key == next(iter(dict(entries))) else ""
                )
        else:
            if "enum" in note.tags:
                text = f"{text} One of {note.tags['enum']}.".strip()
            yield ".".join(path), json.dumps(value), text

    for key, value in values.items():
        yield from walk(value, (key,), "")


def readme(values: dict[str, Any], notes: dict[KeyPath, Comment]) -> str:
    head = (_CHART / "README.md.in").read_text()
    table = "\n".join(
        f"| `{key}` | `{default}` | {text.replace('|', chr(92) + '|')} |"
        for key, default, text in rows(values, notes)
    )
    return f"{head}\n| key | default | meaning |\n| --- | --- | --- |\n{table}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail if they differ")
    check = parser.parse_args().check
    text = (_CHART / "values.yaml").read_text()
    values, notes = yaml.safe_load(text), comments(text.splitlines())
    outputs = {
        "values.schema.json": json.dumps(Schema(values, notes).document(), indent=2) + "\n",
        "README.md": readme(values, notes),
    }
    stale = [name for name, content in outputs.items() if _read(_CHART / name) != content]
    if check and stale:
        sys.exit(f"{', '.join(stale)}: not what values.yaml says; run scripts/chart_docs.py")
    for name in stale:
        (_CHART / name).write_text(outputs[name])


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    main()
