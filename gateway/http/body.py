"""Reading a request body within its limit, also when it is chunked or compressed."""

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from typing import Any

from gateway.large_bodies import beside_the_loop
from gateway.numbers import integer_of
from servicekit.errors import SieError, invalid
from sie.errors.v1.error_reason_pb2 import ErrorReason

Receive = Callable[[], Awaitable[dict[str, Any]]]

# `curl -d` says form-urlencoded whatever it sends.
_JSON_TYPES = {"", "application/json", "text/json", "application/x-www-form-urlencoded"}
# How long the rest of a body over the limit is read and dropped.
_DISCARD_S = 1.0
GZIP = 16 + zlib.MAX_WBITS
# What a byte of a compressed body may well become.
_INFLATION = 32


async def read_body(
    metadata: Mapping[str, str],
    receive: Receive,
    max_bytes: int,
    also: Collection[str] = (),
) -> bytes:
    """The request's body, inflated. Content types beside JSON's are read if they are in `also`.

    Raises:
        SieError: it is larger than `max_bytes`, or of a type or encoding that is not read.
    """
    compressed = is_gzip(metadata)
    length = metadata.get("content-length", "")
    if (integer_of(length) or 0) > max_bytes:
        # A client that waits for 100 Continue has sent nothing; any other one is sending now.
        if "expect" not in metadata:
            await discard(_rest(receive))
        raise _too_large(max_bytes)
    body = await _receive_all(receive, max_bytes)
    if not body:
        return body
    _check_type(metadata.get("content-type", ""), also)
    if not compressed:
        return body
    return await beside_the_loop(_INFLATION * len(body), _inflate, body, max_bytes)


def is_gzip(metadata: Mapping[str, str]) -> bool:
    """Whether a body is compressed.

    Raises:
        SieError: UNSUPPORTED_MEDIA_TYPE, it is of an encoding that is not read.
    """
    # A proxy may have read another body out of what is here only taken out of its chunks.
    if (transfer := metadata.get("transfer-encoding", "chunked").strip()).lower() != "chunked":
        raise _unsupported("transfer encoding", transfer)
    encoding = metadata.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise _unsupported("content encoding", metadata["content-encoding"])
    return encoding == "gzip"


async def _receive_all(receive: Receive, max_bytes: int) -> bytes:
    event = await receive()
    body: bytes = event.get("body", b"")
    parts, size = [body], len(body)
    while event["type"] == "http.request" and event.get("more_body") and size <= max_bytes:
        event = await receive()
        parts.append(event.get("body", b""))
        size += len(parts[-1])
    if size > max_bytes:
        await discard(_rest(receive))
        raise _too_large(max_bytes)
    if event["type"] == "http.disconnect":
        raise SieError(ErrorReason.ERROR_REASON_CANCELLED, "the client went away")
    return body if len(parts) == 1 else b"".join(parts)


async def discard(body: AsyncIterator[object]) -> None:
    """Reads on for a while: a client that is cut off while it sends does not see the answer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DISCARD_S):
            async for _ in body:
                pass


async def _rest(receive: Receive) -> AsyncIterator[object]:
    more = True
    while more:
        event = await receive()
        more = event["type"] == "http.request" and event.get("more_body", False)
        yield event


def _check_type(content_type: str, also: Collection[str]) -> None:
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in _JSON_TYPES and kind not in also:
        raise _unsupported("content type", content_type)


def _inflate(body: bytes, max_bytes: int) -> bytes:
    inflater = zlib.decompressobj(GZIP)
    try:
        inflated = inflater.decompress(body, max_bytes + 1)
    except zlib.error:
        raise invalid("body", "not gzip") from None
    if len(inflated) > max_bytes:
        raise _too_large(max_bytes)
    if not inflater.eof or inflater.unused_data:
        raise invalid("body", "not one whole gzip member")
    return inflated


def _too_large(max_bytes: int) -> SieError:
    return SieError(
        ErrorReason.ERROR_REASON_PAYLOAD_TOO_LARGE,
        f"the body is larger than {max_bytes} bytes",
        limit_bytes=max_bytes,
    )


def _unsupported(what: str, value: str) -> SieError:
    value = value[:80]
    return SieError(
        ErrorReason.ERROR_REASON_UNSUPPORTED_MEDIA_TYPE,
        f"{what} {value!r} is not read here; send application/json",
        content_type=value,
    )
