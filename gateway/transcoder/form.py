"""A message type that stands in JSON otherwise than as an object of its fields."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message


@dataclass(frozen=True, slots=True)
class Form:
    """How one message type is read, rendered and described; None where its fields say it.

    Args:
        read: fills a message from a JSON value; raises FieldError.
        render: the JSON value of a message, or of its packed twin.
        schema: the JSON schema of that value.
        reads_null: null is a value of the type, not an absent field.
    """

    read: Callable[[Message, Any], None] | None = None
    render: Callable[[Any], Any] | None = None
    schema: dict[str, Any] | None = field(default=None)
    reads_null: bool = False
