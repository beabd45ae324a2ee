"""YAML on the routes of the registry: the definition files' own form, in and out.

Content-Type: application/yaml   read as strictly as a definition file, with line numbers
Accept: application/yaml         what such a file would hold
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from gateway.transcoder.routes import Route
from servicekit.definition_yaml import write
from servicekit.definitions import fill
from servicekit.errors import SieError, invalid
from servicekit.yaml_nodes import MAX_FILE_BYTES, DefinitionError, Place, mapping_of
from sie.errors.v1.error_reason_pb2 import ErrorReason

YAML = "application/yaml"
YAML_TYPES = frozenset({YAML, "application/x-yaml", "text/yaml", "text/x-yaml"})

_PACKAGE = "sie.registry.v1"
# Messages name what is wrong by this instead of a file.
_BODY = Path("body")


def speaks_yaml(route: Route) -> bool:
    """Whether a route takes and gives YAML: those of the registry."""
    package: str = route.endpoint.method.containing_service.file.package
    return package == _PACKAGE


def is_yaml(metadata: Mapping[str, str]) -> bool:
    """Whether the body is YAML."""
    return metadata.get("content-type", "").partition(";")[0].strip().lower() in YAML_TYPES


def wants_yaml(metadata: Mapping[str, str]) -> bool:
    """Whether YAML is asked for, and JSON not before it."""
    for part in metadata.get("accept", "").split(","):
        kind = part.partition(";")[0].strip().lower()
        if kind in YAML_TYPES:
            return True
        if kind in ("application/json", "*/*"):
            return False
    return False


async def read_yaml(message: Message, field: str, body: bytes) -> None:
    """Puts a body into a message, or into one of its fields.

    Args:
        message: the request.
        field: `*` for the message itself.
        body: YAML, at most 1 MiB.

    Raises:
        SieError: INVALID_INPUT, naming field and line; PAYLOAD_TOO_LARGE.
    """
    if len(body) > MAX_FILE_BYTES:
        raise SieError(
            ErrorReason.ERROR_REASON_PAYLOAD_TOO_LARGE,
            f"YAML is read up to {MAX_FILE_BYTES} bytes; send larger bodies as JSON",
            limit_bytes=MAX_FILE_BYTES,
        )
    target = message if field == "*" else getattr(message, field)
    # The most that is read takes half a second, in which others should not wait.
    await asyncio.to_thread(_fill, target, "" if field == "*" else field, body)


def write_yaml(route: Route, body: bytes) -> bytes:
    """A serialised response as YAML."""
    response: Any = route.endpoint.response_class.FromString(body)
    shown = getattr(response, route.response_body) if route.response_body else response
    return write(shown).encode()


def _fill(target: Message, field: str, body: bytes) -> None:
    try:
        fill(target, mapping_of(body.decode(), _BODY), Place(_BODY))
    except UnicodeDecodeError:
        raise invalid("body", "is not UTF-8") from None
    except DefinitionError as error:
        path = ".".join(part for part in (field, error.field) if part) or "body"
        raise invalid(path, f"line {error.line}: {error.problem}") from None
