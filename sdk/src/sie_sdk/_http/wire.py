"""Calls as HTTP requests, and HTTP responses as replies or failures."""

import errno
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from sie_sdk._core.failure import Failure, Kind, invalid
from sie_sdk._core.rpcs import Call, Reply
from sie_sdk._core.settings import Settings
from sie_sdk._http.arrays import UnreadableError, pack, unpack
from sie_sdk._version import VERSION

_MSGPACK = "application/msgpack"
_JSON = "application/json"
_MSGPACK_TYPES = (_MSGPACK, "application/x-msgpack", "application/vnd.msgpack")
# Longest text of a failure that is not in a form of ours.
_MOST_CHARACTERS = 300


class Request(NamedTuple):
    """An HTTP request; its path is encoded already."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def base_headers(settings: Settings) -> dict[str, str]:
    """Headers of every request."""
    headers = {"x-sie-sdk-version": VERSION, **settings.headers}
    if settings.api_key:
        headers["authorization"] = f"Bearer {settings.api_key}"
    return headers


def request_of(call: Call, timeout_s: float) -> Request:
    """The request of a call. The server is told when nobody will wait for the answer any more."""
    rpc = call.rpc
    fields = dict(call.message)
    path = rpc.path
    for name in [name for name in fields if f"{{{name}}}" in path]:
        path = path.replace(f"{{{name}}}", quote(str(fields.pop(name)), safe="/:@"))
    headers = {"accept": _MSGPACK if rpc.is_binary else _JSON, **call.headers}
    if rpc.is_binary:
        headers["x-request-timeout"] = f"{timeout_s:.3f}"
    body = b""
    if rpc.method == "GET":
        path += _query(fields)
    elif fields:
        headers["content-type"] = _MSGPACK if rpc.is_binary else _JSON
        try:
            body = pack(fields) if rpc.is_binary else json.dumps(fields).encode()
        except UnicodeEncodeError as error:
            raise invalid(
                _path_to(error.object, fields), f"is no Unicode: {error.reason}"
            ) from None
    return Request(rpc.method, path, headers, body)


def _path_to(text: str, value: Any, path: str = "") -> str:
    """Where a text stands; empty: nowhere."""
    if isinstance(value, str):
        return path if value == text else ""
    if isinstance(value, Mapping):
        parts = ((f"{path}.{key}" if path else str(key), part) for key, part in value.items())
    elif isinstance(value, list):
        parts = ((f"{path}[{index}]", part) for index, part in enumerate(value))
    else:
        return ""
    return next(filter(None, (_path_to(text, part, at) for at, part in parts)), "")


def outcome_of(status: int, headers: Mapping[str, str], body: bytes) -> Reply | Failure:
    """What a response says.

    Args:
        status: of the response.
        headers: keys in any case.
        body: whole and inflated.
    """
    headers = {name.lower(): value for name, value in headers.items()}
    if 200 <= status < 300 and status != 202:
        try:
            return Reply(_value(headers, body), headers)
        except ValueError as error:
            return Failure(Kind.UNREADABLE, f"the reply cannot be read: {error}", status)
    return _failure(status, headers, body)


def failure_of(error: Exception) -> Failure:
    """What an exception of the HTTP library says."""
    message = str(error) or type(error).__name__
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        return Failure(Kind.TIMEOUT, f"no answer in time: {message}")
    unreachable = any(map(_is_lasting, _causes(error)))
    return Failure(Kind.UNREACHABLE if unreachable else Kind.CONNECTION, message)


def _query(fields: Mapping[str, Any]) -> str:
    given = [f"{quote(name)}={quote(str(value), safe='')}" for name, value in fields.items()]
    return f"?{'&'.join(given)}" if given else ""


def _value(headers: Mapping[str, str], body: bytes) -> Any:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in _MSGPACK_TYPES:
        return unpack(body)
    return json.loads(body) if body else {}


def _failure(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    try:
        value = _value(headers, body)
    except (UnreadableError, ValueError):
        value = body[:_MOST_CHARACTERS].decode(errors="replace").strip()
    found = _described(value)
    code = found.get("code") or headers.get("x-sie-error-code") or ""
    return Failure(
        Kind.ANSWER,
        str(found.get("message") or f"HTTP {status}"),
        status=status,
        code=str(code) if isinstance(code, str) else "",
        retry_after_s=_seconds(headers.get("retry-after", "")),
        metadata=_metadata(found, value),
        request_id=headers.get("x-sie-request-id", ""),
    )


def _described(value: Any) -> Mapping[str, Any]:
    """The part of an error body that has `code` and `message`, whoever wrote it."""
    if isinstance(value, str):
        return {"message": value}
    if not isinstance(value, Mapping):
        return {}
    found = value.get("error") or value.get("detail") or value
    if isinstance(found, Mapping):
        if "code" not in found and value.get("status") == "gpu_not_configured":
            return {**found, "code": "GPU_NOT_CONFIGURED"}
        return found
    return {"message": value.get("message") or str(found)}


def _metadata(found: Mapping[str, Any], value: Any) -> dict[str, str]:
    metadata = found.get("metadata")
    if isinstance(metadata, Mapping):
        return {str(key): str(each) for key, each in metadata.items()}
    # Servers that say less than ours: what they tell of a load that failed, and of provisioning.
    known = ("error_class", "permanent", "attempts", "gpu", "bundle")
    both = {**(value if isinstance(value, Mapping) else {}), **found}
    return {key: str(both[key]) for key in known if key in both}


def _seconds(retry_after: str) -> float | None:
    try:
        seconds = float(retry_after)
    except ValueError:
        return None
    return seconds if 0 < seconds < float("inf") else None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_lasting(error: BaseException) -> bool:
    if isinstance(error, socket.gaierror):
        return error.errno != socket.EAI_AGAIN
    if isinstance(error, ssl.SSLError):
        return not isinstance(error, ssl.SSLEOFError)
    if isinstance(error, httpx.UnsupportedProtocol | httpx.ProxyError):
        return True
    return isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM)
