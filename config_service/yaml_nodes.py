"""YAML read as nodes with line numbers, and nothing that only a parser could love.

Anchors, aliases, merge keys, tags, duplicate keys, several documents in a file and deep
nesting are refused before anything is built from them.
"""

from dataclasses import dataclass
from pathlib import Path

import yaml

MAX_FILE_BYTES = 1024 * 1024
MAX_DEPTH = 32


class DefinitionError(ValueError):
    """A definition file that cannot be taken.

    Args:
        file: which file.
        line: counted from 1; 0: the file as a whole.
        field: path of the field, such as `tasks.encode.dense.dims`; empty: none in particular.
        problem: what is wrong with it.
    """

    def __init__(self, file: Path, line: int, field: str, problem: str) -> None:
        super().__init__(": ".join(part for part in (f"{file}:{line}", field, problem) if part))
        self.file, self.line, self.field, self.problem = file, line, field, problem


@dataclass(frozen=True)
class Place:
    """Where in a file a value stands."""

    file: Path
    field: str = ""

    def below(self, name: str) -> "Place":
        return Place(self.file, f"{self.field}.{name}" if self.field else name)

    def at(self, index: object) -> "Place":
        return Place(self.file, f"{self.field}[{index}]")

    def error(self, node: yaml.Node, problem: str) -> DefinitionError:
        return DefinitionError(self.file, node.start_mark.line + 1, self.field, problem)


def read_mapping(file: Path) -> yaml.MappingNode:
    """The one mapping that the file holds.

    Raises:
        DefinitionError: it does not parse, or uses what is refused.
    """
    text = _read(file)
    try:
        _refuse_tricks(file, text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        raise DefinitionError(file, line, "", error.problem or "is no YAML") from None
    except yaml.YAMLError as error:
        raise DefinitionError(file, 0, "", f"is no YAML: {error}") from None
    if not isinstance(node, yaml.MappingNode):
        raise DefinitionError(file, 1, "", "must hold a mapping")
    return node


def entries(node: yaml.Node, place: Place) -> list[tuple[str, yaml.Node, yaml.Node]]:
    """Name, key node and value node of each entry of a mapping, without repeats."""
    if not isinstance(node, yaml.MappingNode):
        raise place.error(node, "must be a mapping")
    found: dict[str, tuple[str, yaml.Node, yaml.Node]] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise place.error(key, "has a key that is no text")
        if key.value in found:
            raise place.below(key.value).error(key, "is there twice")
        found[key.value] = (key.value, key, value)
    return list(found.values())


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise DefinitionError(file, 0, "", f"cannot be read: {error.strerror}") from None
    if len(raw) > MAX_FILE_BYTES:
        raise DefinitionError(file, 0, "", f"is larger than {MAX_FILE_BYTES} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise DefinitionError(file, 0, "", "is not UTF-8") from None


def _refuse_tricks(file: Path, text: str) -> None:
    # Events come from a parser that does not recurse, so depth can be bounded here.
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        assert event.start_mark is not None
        line = event.start_mark.line + 1
        if getattr(event, "anchor", None) is not None:
            raise DefinitionError(file, line, "", "anchors and aliases are refused")
        if getattr(event, "tag", None) is not None:
            raise DefinitionError(file, line, "", "tags are refused")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise DefinitionError(file, line, "", f"is nested deeper than {MAX_DEPTH} levels")
