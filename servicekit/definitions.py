"""Definition files: YAML in the proto's own field names, read strictly into its messages.

There is no second schema. The descriptors say which fields exist and of what type they
are; enum values are written in lower case without their prefix (`pooling: mean`). Any
unknown key, wrong type or repeat is an error that names the file, the line and the field.
"""

import functools
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from servicekit.yaml_nodes import DefinitionError, Place, entries, read_mapping, shown

M = TypeVar("M", bound=Message)
# Descriptors have one type in Python and another in C.
Field = Any

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_TAG = "tag:yaml.org,2002:"


class Source(NamedTuple):
    """A definition and where it was read.

    Args:
        message: the definition.
        file: its file.
        lines: line of each field by its path, counted from 1.
    """

    message: Any
    file: Path
    lines: Mapping[str, int]

    def error(self, field: str, problem: str) -> DefinitionError:
        """What is wrong with a field, at the line of it, or of the nearest one around it."""
        place = field
        while place and place not in self.lines:
            place = place[: max(place.rfind("."), place.rfind("["), 0)]
        return DefinitionError(self.file, self.lines.get(place, 1), field, problem)


def read_directory(directory: Path, message: type[M]) -> dict[Path, M]:
    """Every `*.yaml` of a directory as a message, in order of file name.

    Raises:
        DefinitionError: the directory is missing, or one of its files cannot be taken.
    """
    return {file: read_file(file, message) for file in files_of(directory)}


def files_of(directory: Path) -> list[Path]:
    """Every `*.yaml` of a directory, ordered.

    Raises:
        DefinitionError: the directory is missing.
    """
    if not directory.is_dir():
        raise DefinitionError(directory, 0, "", "is no directory")
    return sorted(directory.glob("*.yaml"))


def read_file(file: Path, message: type[M]) -> M:
    """One definition.

    Raises:
        DefinitionError: the file cannot be taken.
    """
    definition = message()
    fill(definition, read_mapping(file), Place(file))
    return definition


def read_source(file: Path, message: type[Message]) -> Source:
    """One definition with its lines; raises DefinitionError."""
    return source_of(read_mapping(file), file, message)


def source_of(node: yaml.MappingNode, file: Path, message: type[Message]) -> Source:
    """The definition that a mapping of a file holds; raises DefinitionError."""
    definition, lines = message(), dict[str, int]()
    fill(definition, node, Place(file, lines=lines))
    return Source(definition, file, lines)


def fill(message: Message, node: yaml.Node, place: Place) -> None:
    """Puts a mapping into a message; raises DefinitionError."""
    # An empty mapping still makes the message present.
    message.SetInParent()
    if isinstance(message, Struct):
        message.update(_plain_mapping(node, place))
        return
    for name, key, value in entries(node, place):
        field = message.DESCRIPTOR.fields_by_name.get(name)
        below = place.below(name)
        if field is None:
            raise below.error(key, "is no field of " + message.DESCRIPTOR.name)
        below.passed(key)
        _refuse_second_choice(message, field, key, below)
        _set(message, field, value, below)


def _refuse_second_choice(message: Message, field: Field, key: yaml.Node, place: Place) -> None:
    group = field.containing_oneof
    chosen = message.WhichOneof(group.name) if group is not None else None
    if chosen is not None and chosen != field.name:
        raise place.error(key, f"cannot stand beside {chosen}")


def _set(message: Message, field: Field, node: yaml.Node, place: Place) -> None:
    target = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        _fill_map(target, field, node, place)
    elif field.is_repeated:
        _fill_list(target, field, node, place)
    elif field.message_type is not None:
        fill(target, node, place)
    else:
        setattr(message, field.name, _scalar(field, node, place))


def _fill_map(target: Any, field: Field, node: yaml.Node, place: Place) -> None:
    value_field = field.message_type.fields_by_name["value"]
    for name, key, value in entries(node, place):
        below = place.at(name)
        below.passed(key)
        if value_field.message_type is not None:
            fill(target[name], value, below)
        else:
            target[name] = _scalar(value_field, value, below)


def _fill_list(target: Any, field: Field, node: yaml.Node, place: Place) -> None:
    if not isinstance(node, yaml.SequenceNode):
        raise place.error(node, "must be a list")
    for index, item in enumerate(node.value):
        below = place.at(index)
        below.passed(item)
        if field.message_type is not None:
            fill(target.add(), item, below)
        else:
            target.append(_scalar(field, item, below))


def _scalar(field: Field, node: yaml.Node, place: Place) -> Any:
    if not isinstance(node, yaml.ScalarNode):
        raise place.error(node, f"must be {_expected(field)}")
    if field.enum_type is not None:
        return _enum(field.enum_type, node, place)
    try:
        return _READERS[field.cpp_type](node)
    except (KeyError, ValueError):
        raise place.error(node, f"must be {_expected(field)}, not {shown(node.value)}") from None


def _enum(enum: Any, node: yaml.ScalarNode, place: Place) -> int:
    words = enum_words(enum)
    if node.value not in words:
        raise place.error(node, f"must be one of {', '.join(words)}, not {shown(node.value)}")
    return words[node.value]


@functools.cache
def enum_words(enum: Any) -> dict[str, int]:
    """Numbers by the word that stands for each: `mean` for POOLING_MEAN."""
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"
    return {
        value.name.removeprefix(prefix).lower(): value.number
        for value in enum.values
        if value.number != 0
    }


def _string(node: yaml.ScalarNode) -> str:
    if node.tag != _TAG + "str":
        raise ValueError(node.tag)
    return str(node.value)


def _boolean(node: yaml.ScalarNode) -> bool:
    if node.tag != _TAG + "bool":
        raise ValueError(node.tag)
    # YAML 1.1 takes yes, no, on and off too; they surprise more than they help.
    return {"true": True, "false": False}[node.value]


def _integer(bits: int, *, signed: bool) -> Callable[[yaml.ScalarNode], int]:
    low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)

    def read(node: yaml.ScalarNode) -> int:
        if node.tag != _TAG + "int" or not _INTEGER.fullmatch(node.value):
            raise ValueError(node.value)
        value = int(node.value)
        if not low <= value < high:
            raise ValueError(node.value)
        return value

    return read


def _number(node: yaml.ScalarNode) -> float:
    if node.tag not in (_TAG + "int", _TAG + "float"):
        raise ValueError(node.tag)
    value = float(node.value)
    if not math.isfinite(value):
        raise ValueError(node.value)
    return value


_READERS: dict[int, Callable[[yaml.ScalarNode], Any]] = {
    FieldDescriptor.CPPTYPE_STRING: _string,
    FieldDescriptor.CPPTYPE_BOOL: _boolean,
    FieldDescriptor.CPPTYPE_INT32: _integer(32, signed=True),
    FieldDescriptor.CPPTYPE_INT64: _integer(64, signed=True),
    FieldDescriptor.CPPTYPE_UINT32: _integer(32, signed=False),
    FieldDescriptor.CPPTYPE_UINT64: _integer(64, signed=False),
    FieldDescriptor.CPPTYPE_FLOAT: _number,
    FieldDescriptor.CPPTYPE_DOUBLE: _number,
}
_NAMES = {
    FieldDescriptor.CPPTYPE_STRING: "text",
    FieldDescriptor.CPPTYPE_BOOL: "true or false",
    FieldDescriptor.CPPTYPE_UINT32: "a whole number from 0",
    FieldDescriptor.CPPTYPE_UINT64: "a whole number from 0",
}


def _expected(field: Field) -> str:
    return _NAMES.get(field.cpp_type, "a number")


def _plain_mapping(node: yaml.Node, place: Place) -> dict[str, Any]:
    return {name: _plain(value, place.below(name)) for name, _, value in entries(node, place)}


def _plain(node: yaml.Node, place: Place) -> Any:
    """A value of a Struct: what JSON can say."""
    if isinstance(node, yaml.MappingNode):
        return _plain_mapping(node, place)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, place.at(index)) for index, item in enumerate(node.value)]
    assert isinstance(node, yaml.ScalarNode)
    try:
        return _PLAIN[node.tag](node)
    except (KeyError, ValueError):
        raise place.error(node, f"is nothing that JSON can say: {shown(node.value)}") from None


_PLAIN: dict[str, Callable[[yaml.ScalarNode], Any]] = {
    _TAG + "str": _string,
    _TAG + "bool": _boolean,
    _TAG + "int": _number,
    _TAG + "float": _number,
    _TAG + "null": lambda _: None,
}
