"""One line of what a batch writes, as readers of OpenAI's output files know it."""

from typing import Any

import orjson

from gateway.http.openai import is_openai, openai_error
from gateway.http.response import Response, error_response
from gateway.transcoder.routes import Route
from servicekit.errors import SieError, code_of


def result_line(request_id: str, number: int, custom_id: str, body: bytes) -> bytes:
    """A request that was answered; `body` is the response's, as JSON."""
    return _line(request_id, number, custom_id, _response(request_id, 200, body), None)


def error_line(
    request_id: str, number: int, custom_id: str, route: Route, error: SieError
) -> bytes:
    """A request that failed, with the response that it would have had by itself."""
    write = openai_error if is_openai(route) else error_response
    answer: Response = write(error, request_id)
    response = _response(request_id, answer.status, answer.body)
    return _line(request_id, number, custom_id, response, None)


def left_line(request_id: str, number: int, custom_id: str, error: SieError) -> bytes:
    """A request that was never made."""
    failure = {"code": code_of(error.reason).lower(), "message": error.message}
    return _line(request_id, number, custom_id, None, failure)


def _response(request_id: str, status: int, body: bytes) -> dict[str, Any]:
    return {"status_code": status, "request_id": request_id, "body": orjson.Fragment(body)}


def _line(
    request_id: str,
    number: int,
    custom_id: str,
    response: dict[str, Any] | None,
    error: dict[str, str] | None,
) -> bytes:
    value = {
        "id": request_id,
        "custom_id": custom_id,
        "line": number,
        "response": response,
        "error": error,
    }
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
