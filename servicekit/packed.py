"""Vectors as bytes: protobuf messages read and written without touching a number.

On the wire a packed `repeated float` is one length-delimited run of little-endian values,
exactly as a `bytes` field is. So a *packed twin* of a message, with the same field numbers
but `bytes` in place of its packed fixed-width fields, reads and writes the same wire form
with a memory copy: workers fill it from `ndarray.tobytes()`, the gateway reads it with
`numpy.frombuffer`. In the same way a sub-message can be declared `bytes`: it is then carried
along without being parsed.

Twins are derived from the generated descriptors when the process starts; they are no second
definition. They are only for messages that we wrote ourselves: another writer may split a
packed field into several runs, of which a `bytes` field would keep the last.
"""

from collections.abc import Iterable
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor
from google.protobuf.message import Message

_FIXED_WIDTH = {
    FieldDescriptor.TYPE_FLOAT,
    FieldDescriptor.TYPE_DOUBLE,
    FieldDescriptor.TYPE_FIXED32,
    FieldDescriptor.TYPE_FIXED64,
    FieldDescriptor.TYPE_SFIXED32,
    FieldDescriptor.TYPE_SFIXED64,
}
_SINGULAR = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
_REPEATED = descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED


def packed_twin(message: type[Message], opaque: Iterable[str] = ()) -> type[Any]:
    """The packed twin of a generated message class.

    Args:
        message: the generated class.
        opaque: names of fields of `message` itself that are carried as unparsed bytes.
    """
    pool = descriptor_pool.DescriptorPool()
    descriptor: Any = message.DESCRIPTOR
    _add_file(pool, descriptor.file, descriptor, frozenset(opaque), set())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(descriptor.full_name))


def _add_file(
    pool: descriptor_pool.DescriptorPool,
    file: FileDescriptor,
    root: Descriptor,
    opaque: frozenset[str],
    added: set[str],
) -> None:
    if file.name in added:
        return
    added.add(file.name)
    for dependency in file.dependencies:
        _add_file(pool, dependency, root, opaque, added)
    proto = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(proto)
    for message in proto.message_type:
        is_root = f"{proto.package}.{message.name}" == root.full_name
        for field in message.field:
            if is_root and field.name in opaque:
                _declare_bytes(field)
            elif field.label == _REPEATED and field.type in _FIXED_WIDTH:
                _declare_bytes(field)
                # The whole run of values is one `bytes`.
                field.label = _SINGULAR
    pool.Add(proto)


def _declare_bytes(field: descriptor_pb2.FieldDescriptorProto) -> None:
    field.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
    field.ClearField("type_name")
