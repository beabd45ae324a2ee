"""Errors on OpenAI's paths, in the shape that its clients read."""

from typing import Any

import orjson

from gateway.http.response import JSON, Response
from gateway.request_id import REQUEST_ID_HEADER
from gateway.transcoder.routes import Route
from servicekit.errors import SieError, code_of, http_headers_of, spec_of
from sie.errors.v1.error_reason_pb2 import ErrorReason

_SERVICE = "sie.compat.v1.OpenAIService"
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    429: "rate_limit_error",
}
_SERVER_ERROR = 500


def is_openai(route: Route) -> bool:
    """Whether a route is one of that API's."""
    name: str = route.endpoint.method.containing_service.full_name
    return name == _SERVICE


def openai_error(error: SieError, request_id: str) -> Response:
    """`{"error": {"message", "type", "param", "code"}}`; capacity on its way is 503, not 202."""
    status = spec_of(error.reason).http_status
    if error.reason == ErrorReason.ERROR_REASON_PROVISIONING:
        status = 503
    kind = "server_error" if status >= _SERVER_ERROR else "invalid_request_error"
    body: dict[str, Any] = {
        "message": error.message,
        "type": _TYPES.get(status, kind),
        "param": error.metadata.get("field"),
        "code": code_of(error.reason).lower(),
    }
    headers = {"content-type": JSON, REQUEST_ID_HEADER: request_id, **http_headers_of(error)}
    return Response(status, orjson.dumps({"error": body}), headers)
