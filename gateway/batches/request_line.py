"""One line of a batch's input: a request and the name that its caller gave it."""

from typing import Any, NamedTuple

from gateway.json_calls import JsonCalls, parsed
from gateway.transcoder.routes import Match
from servicekit.errors import SieError, invalid

_FIELDS = frozenset({"custom_id", "method", "url", "body"})
_LONGEST_ID = 512


class RequestLine(NamedTuple):
    """A request.

    Args:
        custom_id: names it among those of the batch.
        match: which call it is.
        body: of the call.
        size: of the line, in bytes.
    """

    custom_id: str
    match: Match
    body: dict[str, Any]
    size: int


def check_endpoint(calls: JsonCalls, endpoint: str) -> None:
    """Raises SieError, INVALID_INPUT, unless a batch's requests can be for the path."""
    if endpoint in calls.families:
        return
    try:
        calls.find(endpoint)
    except SieError:
        problem = "must be /v1/embeddings or another path that computes, such as /v1/encode"
        raise invalid("endpoint", problem) from None


def read_line(calls: JsonCalls, endpoint: str, line: bytes) -> RequestLine:
    """The request in a line.

    Raises:
        SieError: INVALID_INPUT, naming the field.
    """
    value = parsed(line)
    if unknown := set(value) - _FIELDS:
        raise invalid(min(unknown)[:80], "unknown field")
    custom_id, url = value.get("custom_id"), value.get("url")
    if type(custom_id) is not str or not 0 < len(custom_id) <= _LONGEST_ID:
        raise invalid("custom_id", f"must be a string of 1 to {_LONGEST_ID} characters")
    if value.get("method") != "POST":
        raise invalid("method", "must be POST")
    if type(url) is not str or not (url == endpoint or url.startswith(f"{endpoint}/")):
        raise invalid("url", f"must be {endpoint}, the batch's endpoint, or below it")
    if type(value.get("body")) is not dict:
        raise invalid("body", "must be an object")
    try:
        match = calls.find(url)
    except SieError as error:
        raise invalid("url", error.message) from None
    return RequestLine(custom_id, match, value["body"], len(line))
