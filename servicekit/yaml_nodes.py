"""YAML read as nodes with line numbers, and nothing that only a parser could love.

Anchors, aliases, merge keys, tags, duplicate keys, several documents in a file and deep
nesting are refused before anything is built from them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

MAX_FILE_BYTES = 1024 * 1024
MAX_DEPTH = 32
# Mappings, lists and values of one text. A million take seconds to read.
MAX_NODES = 30_000


class Limits(NamedTuple):
    """What a text may have."""

    most_bytes: int
    most_nodes: int


ONE_DEFINITION = Limits(MAX_FILE_BYTES, MAX_NODES)
# A file that its owner reads on his own machine: ten thousand models take 4 MB.
WHOLE_REGISTRY = Limits(64 * MAX_FILE_BYTES, 100 * MAX_NODES)

# What a file holds is shown to that length.
_LONGEST_SHOWN = 80

# The C library reads ten times faster, and is not in every build of PyYAML.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class DefinitionError(ValueError):
    """A definition file that cannot be taken.

    Args:
        file: which file.
        line: counted from 1; 0: the file as a whole.
        field: path of the field, such as `tasks.encode.dense.dims`; empty: none in particular.
        problem: what is wrong with it.
    """

    def __init__(self, file: Path, line: int, field: str, problem: str) -> None:
        place = f"{file}:{line}" if line else str(file)
        super().__init__(": ".join(part for part in (place, field, problem) if part))
        self.file, self.line, self.field, self.problem = file, line, field, problem


@dataclass(frozen=True)
class Place:
    """Where in a file a value stands.

    Args:
        file: which file.
        field: path of the field.
        lines: filled with the line of every field that is passed; None: not wanted.
    """

    file: Path
    field: str = ""
    lines: dict[str, int] | None = None

    def below(self, name: str) -> "Place":
        name = name[:_LONGEST_SHOWN]
        return Place(self.file, f"{self.field}.{name}" if self.field else name, self.lines)

    def at(self, index: object) -> "Place":
        return Place(self.file, f"{self.field}[{str(index)[:_LONGEST_SHOWN]}]", self.lines)

    def passed(self, node: yaml.Node) -> None:
        """Remembers the line of this place."""
        if self.lines is not None:
            self.lines[self.field] = node.start_mark.line + 1

    def error(self, node: yaml.Node, problem: str) -> DefinitionError:
        return DefinitionError(self.file, node.start_mark.line + 1, self.field, problem)


def shown(text: str) -> str:
    """What a file holds, quoted, and cut to what a message can carry."""
    return repr(text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…")


def read_mapping(file: Path, limits: Limits = ONE_DEFINITION) -> yaml.MappingNode:
    """The one mapping that the file holds.

    Raises:
        DefinitionError: it does not parse, or uses what is refused.
    """
    return mapping_of(_read(file, limits.most_bytes), file, limits)


def mapping_of(text: str, file: Path, limits: Limits = ONE_DEFINITION) -> yaml.MappingNode:
    """The one mapping that a text holds; `file` is for messages.

    Raises:
        DefinitionError: it does not parse, or uses what is refused.
    """
    try:
        _refuse_tricks(file, text, limits.most_nodes)
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # The end of a text counts as its last line.
        line = min(mark.line, text.rstrip().count("\n")) + 1 if mark else 0
        raise DefinitionError(file, line, "", error.problem or "is no YAML") from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise DefinitionError(file, line, "", f"{error.reason}, code {error.character}") from None
    except yaml.YAMLError as error:
        raise DefinitionError(file, 0, "", f"is no YAML: {shown(str(error))}") from None
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


def _read(file: Path, max_bytes: int) -> str:
    try:
        with file.open("rb") as stream:
            raw = stream.read(max_bytes + 1)
    except OSError as error:
        raise DefinitionError(file, 0, "", f"cannot be read: {error.strerror}") from None
    if len(raw) > max_bytes:
        raise DefinitionError(file, 0, "", f"is larger than {max_bytes} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise DefinitionError(file, 0, "", "is not UTF-8") from None


def _refuse_tricks(file: Path, text: str, most_nodes: int) -> None:
    # Events come from a parser that does not recurse, so depth can be bounded here.
    depth = nodes = 0
    for event in yaml.parse(text, Loader=_LOADER):
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
        nodes += isinstance(event, yaml.NodeEvent)
        if nodes > most_nodes:
            raise DefinitionError(file, line, "", f"holds more than {most_nodes} values")
        if depth > MAX_DEPTH:
            raise DefinitionError(file, line, "", f"is nested deeper than {MAX_DEPTH} levels")
