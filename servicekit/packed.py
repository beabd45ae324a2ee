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

from collections.abc import Collection, Iterable
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
    descriptor: Any = message.DESCRIPTOR
    hidden = {f"{descriptor.full_name}.{name}" for name in opaque}
    # What a field is holds for a whole pool, so twins that hide fields have one of their own.
    twins = _Twins(hidden) if hidden else _ALL_OPEN
    return twins.of(descriptor)


class _Twins:
    """Twins of whole files.

    Args:
        hidden: full names of fields of messages that are carried as unparsed bytes.
    """

    def __init__(self, hidden: Collection[str] = ()) -> None:
        self._hidden = hidden
        self._pool = descriptor_pool.DescriptorPool()
        self._added: set[str] = set()

    def of(self, descriptor: Descriptor) -> type[Any]:
        """The twin of a message that is described in the default pool."""
        self._add(descriptor.file)
        return message_factory.GetMessageClass(
            self._pool.FindMessageTypeByName(descriptor.full_name)
        )

    def _add(self, file: FileDescriptor) -> None:
        if file.name in self._added:
            return
        self._added.add(file.name)
        for dependency in file.dependencies:
            self._add(dependency)
        proto = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(proto)
        for message in proto.message_type:
            for field in message.field:
                if f"{proto.package}.{message.name}.{field.name}" in self._hidden:
                    _declare_bytes(field)
                elif field.label == _REPEATED and field.type in _FIXED_WIDTH:
                    _declare_bytes(field)
                    # The whole run of values is one `bytes`.
                    field.label = _SINGULAR
        self._pool.Add(proto)


def _declare_bytes(field: descriptor_pb2.FieldDescriptorProto) -> None:
    field.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
    field.ClearField("type_name")


_ALL_OPEN = _Twins()
