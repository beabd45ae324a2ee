"""JSON schemas of messages and enums, as json_in reads them and json_out writes them."""

from collections.abc import Collection
from typing import Any

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from gateway.transcoder.comments import comments
from gateway.transcoder.forms import FORMS
from gateway.transcoder.names import choices, is_json_number

Schema = dict[str, Any]

_64_BIT = {"type": ["string", "integer"], "format": "int64"}
_UNSIGNED_64_BIT = {"type": ["string", "integer"], "format": "uint64"}
_INT32 = {"type": "integer", "format": "int32"}
_UINT32 = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}

_SCALARS: dict[int, Schema] = {
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_SINT32: _INT32,
    FieldDescriptor.TYPE_SFIXED32: _INT32,
    FieldDescriptor.TYPE_UINT32: _UINT32,
    FieldDescriptor.TYPE_FIXED32: _UINT32,
    FieldDescriptor.TYPE_INT64: _64_BIT,
    FieldDescriptor.TYPE_SINT64: _64_BIT,
    FieldDescriptor.TYPE_SFIXED64: _64_BIT,
    FieldDescriptor.TYPE_UINT64: _UNSIGNED_64_BIT,
    FieldDescriptor.TYPE_FIXED64: _UNSIGNED_64_BIT,
}


class Schemas:
    """Collects the schemas of everything that is referred to."""

    def __init__(self) -> None:
        # By full name: `#/components/schemas/...`.
        self.components: dict[str, Schema] = {}

    def message(self, descriptor: Descriptor) -> Schema:
        """A reference to the schema of a message."""
        form = FORMS.get(descriptor.full_name)
        return self._reference(
            descriptor.full_name,
            lambda: form.schema if form and form.schema is not None else self.object(descriptor),
        )

    def object(self, descriptor: Descriptor, without: Collection[str] = ()) -> Schema:
        """A message's schema itself, without the fields that stand elsewhere."""
        fields = [field for field in descriptor.fields if field.name not in without]
        schema: Schema = {
            "type": "object",
            "properties": {field.name: self.field(field) for field in fields},
            "additionalProperties": False,
        }
        if required := [field.name for field in fields if is_required(field)]:
            schema["required"] = required
        return schema

    def field(self, field: FieldDescriptor) -> Schema:
        """The schema of a field's value, with its comment."""
        schema = self._repeated(field) if field.is_repeated else self._one(field)
        return _described(schema, field.full_name)

    def _repeated(self, field: FieldDescriptor) -> Schema:
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            value = self._one(kind.fields_by_name["value"])
            return {"type": "object", "additionalProperties": value}
        return {"type": "array", "items": self._one(field)}

    def _one(self, field: FieldDescriptor) -> Schema:
        if field.message_type is not None:
            return self.message(field.message_type)
        if field.enum_type is not None:
            return self._enum(field.enum_type)
        if is_json_number(field):
            return {"type": "integer"}
        return dict(_SCALARS[field.type])

    def _enum(self, enum: EnumDescriptor) -> Schema:
        return self._reference(enum.full_name, lambda: {"type": "string", "enum": choices(enum)})

    def _reference(self, name: str, make: Any) -> Schema:
        if name not in self.components:
            self.components[name] = {}  # ends the recursion of a type that contains itself
            self.components[name] = _described(make(), name)
        return {"$ref": f"#/components/schemas/{name}"}


def is_required(field: FieldDescriptor) -> bool:
    behaviours = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    return field_behavior_pb2.REQUIRED in behaviours


def _described(schema: Schema, name: str) -> Schema:
    comment = comments().get(name)
    return {**schema, "description": comment} if comment else schema
