"""Comments of the proto files, which the generated modules do not hold."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

from sie.errors.v1 import error_reason_pb2

# Written by scripts/generate.py beside the generated packages.
_DESCRIPTORS = Path(error_reason_pb2.__file__).parents[2] / "descriptors.binpb"

# What the numbers in a location's path stand for (google/protobuf/descriptor.proto).
_CHILDREN: dict[type, dict[int, str]] = {
    FileDescriptorProto: {4: "message_type", 5: "enum_type", 6: "service"},
    DescriptorProto: {2: "field", 3: "nested_type", 4: "enum_type"},
    EnumDescriptorProto: {2: "value"},
    ServiceDescriptorProto: {2: "method"},
}


@functools.cache
def comments() -> Mapping[str, str]:
    """Comments by the full name of what they stand before; empty if not installed.

    An enum's values stand under the enum: `sie.inference.v1.Truncate.TRUNCATE_LEFT`.
    """
    if not _DESCRIPTORS.exists():
        return {}
    found = {}
    for file in FileDescriptorSet.FromString(_DESCRIPTORS.read_bytes()).file:
        for place in file.source_code_info.location:
            if name := _name(file, place.path):
                found[f"{file.package}.{name}"] = _text(place.leading_comments)
    return found


def _name(file: FileDescriptorProto, path: Sequence[int]) -> str:
    element: Any = file
    names = []
    for kind, index in zip(path[::2], path[1::2], strict=False):
        child = _CHILDREN.get(type(element), {}).get(kind)
        if child is None:
            return ""
        element = getattr(element, child)[index]
        names.append(element.name)
    return ".".join(names)


def _text(comment: str) -> str:
    paragraphs = comment.strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
