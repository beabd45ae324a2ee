"""HTTP responses: JSON, and errors in the shapes that clients of this field read."""

import functools
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, NamedTuple

import orjson

from gateway.request_id import REQUEST_ID_HEADER
from servicekit.errors import SieError, http_headers_of, json_of, spec_of
from sie.errors.v1.error_reason_pb2 import ErrorReason

JSON = "application/json"


class Response(NamedTuple):
    """A whole response."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class StreamedResponse(NamedTuple):
    """A response whose body is made while it is sent."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncGenerator[bytes]


def json_response(value: Any, status: int = 200) -> Response:
    return Response(status, orjson.dumps(value), {"content-type": JSON})


def error_response(error: SieError, request_id: str) -> Response:
    """The error as `{"error": {...}, "detail": {...}}`, with Retry-After where it helps."""
    body = json_of(error, request_id)
    if extend := _MORE_KEYS.get(error.reason):
        body.update(extend(error))
    if error.reason == ErrorReason.ERROR_REASON_MODEL_LOAD_FAILED:
        # Clients decide by these whether to come back, and read them where the code stands.
        for part in (body["error"], body["detail"]):
            part.update(_load_failed(error))
    headers = {
        "content-type": JSON,
        REQUEST_ID_HEADER: request_id,
        **http_headers_of(error),
        **getattr(error, "headers", {}),
    }
    if error.reason == ErrorReason.ERROR_REASON_PAYLOAD_TOO_LARGE:
        # What the client is still sending would be read as its next request, or for nothing.
        headers["connection"] = "close"
    return Response(spec_of(error.reason).http_status, orjson.dumps(body), headers)


def _load_failed(error: SieError) -> dict[str, Any]:
    return {
        "error_class": error.metadata.get("error_class", "UNKNOWN"),
        "permanent": error.metadata.get("permanent") != "false",
        "attempts": int(error.metadata.get("attempts", 1)),
    }


def _gpu_not_configured(error: SieError) -> dict[str, Any]:
    configured = error.metadata.get("configured_gpu_types", "")
    return {
        "status": "gpu_not_configured",
        "gpu": error.metadata.get("gpu", ""),
        "configured_gpu_types": [name.strip() for name in configured.split(",") if name.strip()],
        "message": error.message,
    }


def _provisioning(error: SieError) -> dict[str, Any]:
    return {
        "status": "provisioning",
        "gpu": error.metadata.get("gpu", ""),
        "bundle": error.metadata.get("bundle", ""),
        "estimated_wait_s": int(error.metadata.get("estimated_wait_s", 0)),
        "message": error.message,
    }


# The keys that the documentation shows for these two, beside `error` and `detail`.
_MORE_KEYS: dict[int, Callable[[SieError], dict[str, Any]]] = {
    ErrorReason.ERROR_REASON_GPU_NOT_CONFIGURED: _gpu_not_configured,
    ErrorReason.ERROR_REASON_PROVISIONING: _provisioning,
}


@functools.lru_cache(maxsize=256)
def header_name(name: str) -> bytes:
    return name.lower().encode("latin-1")
