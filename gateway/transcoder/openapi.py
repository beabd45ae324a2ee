"""The OpenAPI 3.1 document of a route table, from descriptors, annotations and comments."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.transcoder.binding import is_text, resolve
from gateway.transcoder.comments import comments
from gateway.transcoder.forms import FORMS
from gateway.transcoder.names import descriptor_of
from gateway.transcoder.routes import Route
from gateway.transcoder.schema import Schemas, is_required
from servicekit.errors import code_of, spec_of
from sie.errors.v1.error_pb2 import Error
from sie.errors.v1.error_reason_pb2 import ErrorReason

_HEADERS = {
    "X-SIE-MACHINE-PROFILE": ("Machine profile to run on, or `pool/profile`.", "string"),
    "X-SIE-Pool": ("Pool to run in.", "string"),
    "X-Request-Timeout": ("Seconds after which the call is given up.", "number"),
}
_NDJSON = "application/x-ndjson"
_LINES = "One request in each line, or its only item; answered by as many lines."
_ANSWERS = "In each line `line`, its number, the request's `key`, and `response` or `error`."
_LINE_ORDER = {
    "name": "X-SIE-Stream-Order",
    "in": "header",
    "description": "Whether lines are answered in their turn (`sent`) or as soon as possible.",
    "schema": {"type": "string", "enum": ["sent", "ready"]},
}


def document(
    routes: Iterable[Route], version: str, by_line: Callable[[Route], bool]
) -> dict[str, Any]:
    """The whole document, ready for JSON.

    Args:
        routes: every route.
        version: of the server.
        by_line: whether a route is called line by line as well.
    """
    schemas = Schemas()
    paths: dict[str, dict[str, Any]] = {}
    seen: set[str] = set()
    for route in routes:
        operations = paths.setdefault(_path(route), {})
        operation = _operation(route, schemas, seen)
        if by_line(route):
            _add_lines(operation)
        operations[route.http_method.lower()] = operation
    errors = _error_responses(schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "SIE", "version": version},
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": errors,
            "parameters": {name: _header(name) for name in _HEADERS},
        },
    }


def _path(route: Route) -> str:
    return re.sub(
        r"\{([^=}]+)(=[^}]*)?\}",
        lambda variable: f"{{{_variable_name(variable[1])}}}",
        route.template.template,
    )


def _variable_name(field_path: str) -> str:
    """A path parameter's name; readers of the document stumble over dots in templates."""
    return field_path.replace(".", "_")


def _operation(route: Route, schemas: Schemas, seen: set[str]) -> dict[str, Any]:
    method = route.endpoint.method
    operation: dict[str, Any] = {
        "operationId": _unique(f"{method.containing_service.name}_{method.name}", seen),
        "tags": [method.containing_service.full_name],
        "parameters": [*_parameters(route, schemas), *_reference_headers()],
        "responses": {
            str(route.endpoint.http_status): {
                "description": comments().get(method.output_type.full_name, "The result."),
                "content": _json(_response_schema(route, schemas)),
            },
            **{
                status: {"$ref": f"#/components/responses/{status}"}
                for status in _reasons_by_status()
            },
        },
    }
    if comment := comments().get(method.full_name):
        operation["summary"] = comment
    if route.body:
        schema = _body_schema(route, schemas)
        operation["requestBody"] = {"required": "required" in schema, "content": _json(schema)}
    return operation


def _add_lines(operation: dict[str, Any]) -> None:
    operation["parameters"].append(_LINE_ORDER)
    operation["requestBody"]["content"][_NDJSON] = {
        "schema": {"type": "string", "description": _LINES}
    }
    response = operation["responses"]["200"]
    response["content"][_NDJSON] = {"schema": {"type": "string", "description": _ANSWERS}}


def _unique(name: str, seen: set[str]) -> str:
    # Ids are unique also among packages and among the bindings of one rpc.
    number = 2
    unique = name
    while unique in seen:
        unique = f"{name}_{number}"
        number += 1
    seen.add(unique)
    return unique


def _body_schema(route: Route, schemas: Schemas) -> dict[str, Any]:
    request = route.endpoint.method.input_type
    if route.body != "*":
        return schemas.field(request.fields_by_name[route.body])
    return schemas.object(request, without=route.template.variables)


def _response_schema(route: Route, schemas: Schemas) -> dict[str, Any]:
    response = route.endpoint.method.output_type
    if route.response_body:
        return schemas.field(response.fields_by_name[route.response_body])
    return schemas.message(response)


def _parameters(route: Route, schemas: Schemas) -> Iterator[dict[str, Any]]:
    request = route.endpoint.method.input_type
    bound = route.template.variables
    for field_path in bound:
        field = resolve(request, field_path)[-1]
        yield {
            "name": _variable_name(field_path),
            "in": "path",
            "required": True,
            "schema": schemas.field(field),
        }
    if route.body == "*":
        return
    for field_path, field in _query_fields(request, "", [request.full_name]):
        if field_path not in bound and field_path.partition(".")[0] != route.body:
            yield {
                "name": field_path,
                "in": "query",
                "required": is_required(field),
                "schema": schemas.field(field),
            }


def _query_fields(
    descriptor: Descriptor, prefix: str, within: list[str]
) -> Iterator[tuple[str, FieldDescriptor]]:
    for field in descriptor.fields:
        kind = field.message_type
        field_path = prefix + field.name
        if kind is None or is_text(kind):
            yield field_path, field
        elif not field.is_repeated and kind.full_name not in within and kind.full_name not in FORMS:
            yield from _query_fields(kind, f"{field_path}.", [*within, kind.full_name])


def _reference_headers() -> list[dict[str, str]]:
    return [{"$ref": f"#/components/parameters/{name}"} for name in _HEADERS]


def _header(name: str) -> dict[str, Any]:
    description, kind = _HEADERS[name]
    return {"name": name, "in": "header", "description": description, "schema": {"type": kind}}


def _reasons_by_status() -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for reason in ErrorReason.values():
        if status := spec_of(reason).http_status:
            found.setdefault(str(status), []).append(reason)
    return dict(sorted(found.items()))


def _error_responses(schemas: Schemas) -> dict[str, Any]:
    by_status = _reasons_by_status()
    return {status: _error_response(reasons, schemas) for status, reasons in by_status.items()}


def _error_response(reasons: list[int], schemas: Schemas) -> dict[str, Any]:
    error = schemas.message(descriptor_of(Error))
    values = ErrorReason.DESCRIPTOR.values_by_number
    lines = [
        f"`{code_of(reason)}`: "
        + comments().get(f"{ErrorReason.DESCRIPTOR.full_name}.{values[reason].name}", "")
        for reason in reasons
    ]
    response: dict[str, Any] = {
        "description": "\n\n".join(lines),
        "content": _json({"type": "object", "required": ["error"], "properties": {"error": error}}),
    }
    if any(spec_of(reason).retryable for reason in reasons):
        response["headers"] = {
            "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}
        }
    return response


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
