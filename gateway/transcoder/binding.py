"""From an HTTP request to its request message: path variables, query and body.

body: "*"      everything that the path does not bind is in the body; no query
body: "field"  that field is the body; what else there is comes from the query
no body        everything that the path does not bind comes from the query
"""

from typing import Any
from urllib.parse import parse_qsl

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.transcoder.forms import FORMS
from gateway.transcoder.json_bounds import MOST_CONTAINERS, within_bounds
from gateway.transcoder.json_in import MessageReader, Setter, reader, setter
from gateway.transcoder.names import camel_names, descriptor_of
from gateway.transcoder.reading import FieldError
from gateway.transcoder.routes import Route
from gateway.transcoder.scalars import text_converter
from servicekit.errors import SieError, invalid

_MOST_PARAMETERS = 1000


class Binding:
    """Reads the requests of one route.

    Raises:
        ValueError: the annotation names fields that do not exist or cannot be bound.
    """

    def __init__(self, route: Route) -> None:
        self._template = route.template
        self._class = route.endpoint.request_class
        self._body = route.body
        self._descriptor = descriptor = descriptor_of(self._class)
        self._variables = [
            _Variable(field_path, resolve(descriptor, field_path))
            for field_path in route.template.variables
        ]
        self._bound = {variable.field_path for variable in self._variables}
        self._read_body = _body_reader(descriptor, route.body)

    def read(self, captured: tuple[str, ...], query: str, body: bytes) -> Message:
        """The request message.

        Raises:
            SieError: INVALID_INPUT, naming the field.
        """
        return self.read_value(captured, query, _json(body))

    def read_value(self, captured: tuple[str, ...], query: str, value: Any) -> Message:
        """The same, of a body that has been parsed: JSON's types, bytes and numpy's arrays."""
        message = self._class()
        try:
            self._read_body(message, value)
        except FieldError as error:
            raise invalid(error.path or self._body_name, error.problem) from None
        except RecursionError:
            raise invalid(self._body_name, "nested too deeply") from None
        self.bind(message, captured, query)
        return message

    def bind(self, message: Message, captured: tuple[str, ...], query: str) -> None:
        """Puts query and path variables into a message that has its body.

        Raises:
            SieError: INVALID_INPUT, naming the field.
        """
        if query:
            try:
                self._read_query(message, query)
            except FieldError as error:
                raise invalid(error.path or self._body_name, error.problem) from None
        values = self._template.values(captured)
        for variable, (_, text) in zip(self._variables, values, strict=True):
            variable.bind(message, text)

    @property
    def _body_name(self) -> str:
        return "body" if self._body in ("", "*") else self._body

    def _read_query(self, message: Message, query: str) -> None:
        if self._body == "*":
            raise FieldError("this route takes no query parameters", "query")
        seen: set[str] = set()
        for key, text in _parameters(query):
            fields = self._query_fields(key)
            field_path = ".".join(field.name for field in fields)
            if field_path in seen and not fields[-1].is_repeated:
                raise FieldError("given twice", field_path)
            seen.add(field_path)
            _put_text(message, fields, field_path, text)

    def _query_fields(self, key: str) -> list[FieldDescriptor]:
        try:
            fields = resolve(self._descriptor, key)
        except ValueError:
            raise FieldError("unknown query parameter", key[:80]) from None
        field_path = ".".join(field.name for field in fields)
        if field_path in self._bound or fields[0].name == self._body:
            raise FieldError("cannot be a query parameter here", field_path)
        return fields


class _Variable:
    """Puts a path variable into its field.

    Raises:
        ValueError: the field is repeated.
    """

    def __init__(self, field_path: str, fields: list[FieldDescriptor]) -> None:
        self.field_path = field_path
        self._parents = [field.name for field in fields[:-1]]
        leaf = fields[-1]
        if leaf.is_repeated or leaf.message_type is not None:
            raise ValueError(f"{field_path} cannot be a path variable: not one scalar")
        self._name = leaf.name
        self._default = leaf.default_value
        self._convert = text_converter(leaf)

    def bind(self, message: Message, text: str) -> None:
        owner: Any = message
        for name in self._parents:
            owner = getattr(owner, name)
        try:
            value = self._convert(text)
        except FieldError as error:
            raise invalid(self.field_path, error.problem) from None
        if getattr(owner, self._name) not in (self._default, value):
            raise invalid(self.field_path, "the body and the path differ")
        setattr(owner, self._name, value)


def resolve(descriptor: Descriptor, field_path: str) -> list[FieldDescriptor]:
    """The fields along a dotted path that ends at a scalar, or a type written as a string.

    Raises:
        ValueError: there is no such path.
    """
    fields: list[FieldDescriptor] = []
    owner: Descriptor | None = descriptor
    for name in field_path.split("."):
        if owner is None or (fields and fields[-1].is_repeated):
            raise ValueError(f"{field_path}: {fields[-1].name} has no fields")
        field = owner.fields_by_name.get(camel_names(owner).get(name, name))
        if field is None:
            raise ValueError(f"{field_path}: {owner.full_name} has no field {name}")
        fields.append(field)
        owner = field.message_type
    if owner is not None and not is_text(owner):
        raise ValueError(f"{field_path}: a message cannot be written as text")
    return fields


def is_text(descriptor: Descriptor) -> bool:
    """Whether a message type is a string in JSON."""
    form = FORMS.get(descriptor.full_name)
    return form is not None and (form.schema or {}).get("type") == "string"


def _put_text(message: Message, fields: list[FieldDescriptor], path: str, text: str) -> None:
    owner: Any = message
    for parent in fields[:-1]:
        owner = getattr(owner, parent.name)
        owner.SetInParent()
    leaf = fields[-1]
    try:
        if leaf.message_type is not None:
            reader(leaf.message_type)(getattr(owner, leaf.name), text)
        elif leaf.is_repeated:
            getattr(owner, leaf.name).append(text_converter(leaf)(text))
        else:
            setattr(owner, leaf.name, text_converter(leaf)(text))
    except FieldError as error:
        error.within(path)
        raise


def _body_reader(descriptor: Descriptor, body: str) -> Setter:
    if body == "":
        return _read_nothing
    if body == "*":
        return MessageReader(descriptor).read_into
    field = descriptor.fields_by_name.get(body)
    if field is None:
        raise ValueError(f"{descriptor.full_name} has no field {body}")
    return setter(field)


def _read_nothing(_message: Message, value: Any) -> None:
    if value != {}:
        raise FieldError("this route takes none")


def _json(body: bytes) -> Any:
    if not body:
        return {}
    if not within_bounds(body):
        raise invalid("body", f"holds more than {MOST_CONTAINERS} objects and lists")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        problem = error.msg.split(": line ")[0]
        place = f"line {error.lineno}, column {error.colno}"
        raise invalid("body", f"not JSON at {place}: {problem}") from None


def _parameters(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            query, keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS
        )
    except ValueError:
        raise _bad_query() from None


def _bad_query() -> SieError:
    return invalid("query", f"not UTF-8, or more than {_MOST_PARAMETERS} parameters")
