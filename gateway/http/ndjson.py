"""Newline-delimited JSON: many calls of one rpc in a request, answered line by line.

    {"items": [{"text": "a"}]}       what the body of one request would be
    {"key": "k", "items": [...]}     with a name that its answer carries
    {"text": "a"}                    one item, where a request needs nothing but items

    {"line": 1, "response": {...}}   what the response's body would be
    {"line": 2, "key": "k", "error": {...}}

Lines are calls of their own: one that fails does not hold up the others. Both directions are
bounded, so whoever reads slowly is read from slowly.
"""

import functools
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

import orjson

from gateway.api import Api
from gateway.http.blocks import body_blocks, inflated, unless_silent
from gateway.http.body import Receive, is_gzip
from gateway.http.disconnect import DisconnectWatch
from gateway.http.response import StreamedResponse
from gateway.job_stream import Job, answers
from gateway.json_calls import JsonCalls, parsed, with_item
from gateway.large_bodies import beside_the_loop
from gateway.lines import Line, Splitter, lines
from gateway.request_id import REQUEST_ID_HEADER
from gateway.transcoder.routes import Match
from servicekit.errors import SieError, invalid, json_of
from sie.errors.v1.error_reason_pb2 import ErrorReason

NDJSON = "application/x-ndjson"
NDJSON_TYPES = frozenset({NDJSON, "application/ndjson", "application/jsonl", "application/x-jsonl"})
ORDER_HEADER = "x-sie-stream-order"
_ORDERS = {"": True, "sent": True, "ready": False}


def is_ndjson(metadata: Mapping[str, str]) -> bool:
    """Whether the body is lines."""
    return metadata.get("content-type", "").partition(";")[0].strip().lower() in NDJSON_TYPES


class LineCalls:
    """Answers requests whose bodies are lines.

    Args:
        api: knows the callers.
        calls: where the lines go.
        max_request_bytes: of one line, and of a body that is sent before its answers are read.
    """

    def __init__(self, api: Api, calls: JsonCalls, max_request_bytes: int) -> None:
        self._api = api
        self._calls = calls
        self._max_request_bytes = max_request_bytes

    def respond(
        self,
        path: str,
        metadata: Mapping[str, str],
        query: str,
        request_id: str,
        receive: Receive,
        watch: DisconnectWatch,
    ) -> StreamedResponse:
        """The response, whose body comes as the request's is read.

        Raises:
            SieError: the caller is not known, or asks for what there is not.
        """
        match = self._calls.find(path)
        in_hand = self._api.identify(metadata).in_hand
        if query:
            raise invalid("query", "this route takes no query parameters")
        order = metadata.get(ORDER_HEADER, "").strip().lower()
        if order not in _ORDERS:
            raise invalid(ORDER_HEADER, "must be sent or ready")
        stream = _Stream(self._calls, match, metadata, request_id, in_order=_ORDERS[order])
        is_gzip(metadata)  # Refused before the response begins.
        limit = self._max_request_bytes

        async def chunks() -> AsyncGenerator[bytes]:
            async with body_blocks(receive, limit, watch.gone) as blocks:
                content = inflated(unless_silent(aiter(blocks)), metadata)
                read = lines(content, Splitter(limit))
                async with aclosing(answers(stream.jobs(read, limit), in_hand)) as replies:
                    try:
                        async for reply in replies:
                            yield reply
                    except SieError as error:
                        yield _error_line(error, request_id, {})

        headers = {"content-type": NDJSON, REQUEST_ID_HEADER: request_id}
        return StreamedResponse(200, headers, chunks())


class _Stream:
    def __init__(
        self,
        calls: JsonCalls,
        match: Match,
        metadata: Mapping[str, str],
        stream_id: str,
        *,
        in_order: bool,
    ) -> None:
        self._calls = calls
        self._match = match
        self._metadata = metadata
        self._id = stream_id
        self._in_order = in_order
        self._count = itertools.count(1)

    async def jobs(self, read: AsyncIterator[Line], most_bytes: int) -> AsyncIterator[Job[bytes]]:
        async for line in read:
            request_id = f"{self._id}.{next(self._count)}"
            run = functools.partial(self._answer, line, request_id, most_bytes)
            yield Job(run, self._in_order)

    async def _answer(self, line: Line, request_id: str, most_bytes: int) -> bytes:
        shown: dict[str, Any] = {"line": line.number}
        try:
            size = len(line.content or b"")
            body = await beside_the_loop(size, _body_of, line, most_bytes)
            if (key := body.pop("key", None)) is not None:
                shown["key"] = _checked_key(key)
            body = with_item(self._match.route.endpoint, body)
            answer = await self._calls.answer(self._match, body, size, self._metadata, request_id)
        except SieError as error:
            return _error_line(error, request_id, shown)
        shown["response"] = orjson.Fragment(answer)
        return orjson.dumps(shown, option=orjson.OPT_APPEND_NEWLINE)


def _body_of(line: Line, most_bytes: int) -> dict[str, Any]:
    if line.content is not None:
        return parsed(line.content)
    raise SieError(
        ErrorReason.ERROR_REASON_PAYLOAD_TOO_LARGE,
        f"the line is longer than {most_bytes} bytes",
        limit_bytes=most_bytes,
    )


def _checked_key(key: Any) -> str:
    if type(key) is not str:
        raise invalid("key", "must be a string")
    return key


def _error_line(error: SieError, request_id: str, shown: dict[str, Any]) -> bytes:
    failure = json_of(error, request_id)["error"]
    return orjson.dumps({**shown, "error": failure}, option=orjson.OPT_APPEND_NEWLINE)
