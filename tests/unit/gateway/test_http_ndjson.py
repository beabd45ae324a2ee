"""Lines in, lines out: through a real server and raw sockets."""

import asyncio
import gzip
import json

import pytest

from gateway.auth.guard import Guard
from gateway.auth.principal import Limits, Principal
from gateway.auth.tokens import Tokens, digest
from tests.unit.gateway.http_client import connect, raw_request
from tests.unit.gateway.support import MAX_REQUEST_BYTES

ENCODE = "/v1/encode/org/model"
TYPE = ("Content-Type", "application/x-ndjson")


def item(text):
    return json.dumps({"text": text}).encode()


async def read_head(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    return int(head[0].split()[1]), headers


async def read_chunk(reader):
    size = int(await reader.readuntil(b"\r\n"), 16)
    return (await reader.readexactly(size + 2))[:-2]


async def read_lines(reader):
    read = []
    while chunk := await read_chunk(reader):
        read.extend(map(json.loads, chunk.splitlines()))
    return read


async def ask(port, body, path=ENCODE, headers=()):
    """Status, headers, and the lines of a response, or the object of one that is no stream."""
    async with connect(port) as (reader, writer), asyncio.timeout(30):
        writer.write(raw_request("POST", path, body, [TYPE, *headers]))
        status, found = await read_head(reader)
        if status == 200:
            return status, found, await read_lines(reader)
        return status, found, json.loads(await reader.readexactly(int(found["content-length"])))


async def test_each_line_is_answered_in_its_turn(http_port):
    body = b"\n".join(item("x" * (n + 1)) for n in range(200))
    status, headers, lines = await ask(http_port, body)
    assert (status, headers["content-type"]) == (200, "application/x-ndjson")
    assert [line["line"] for line in lines] == list(range(1, 201))
    assert [line["response"]["items"][0]["dense"]["values"][0] for line in lines] == [
        n + 1.0 for n in range(200)
    ]


async def test_a_line_is_a_request_or_its_only_item_and_may_have_a_key(http_port):
    body = b'{"key":"k","items":[{"text":"ab"},{"text":"a"}]}\n\n  \n{"id":"i","text":"abc"}\r\n'
    _, _, (request, one) = await ask(http_port, body)
    assert (request["line"], request["key"]) == (1, "k")
    assert len(request["response"]["items"]) == 2
    assert (one["line"], one["response"]["items"][0]["id"]) == (4, "i")


BAD_LINES = [
    (b"{", "INVALID_INPUT", "line"),
    (b"[]", "INVALID_INPUT", "line"),
    (b"\xff", "INVALID_INPUT", "line"),
    (b'{"txt":"a"}', "INVALID_INPUT", "items[0].txt"),
    (b'{"items":[{"text":1}]}', "INVALID_INPUT", "items[0].text"),
    (b'{"items":[],"key":1}', "INVALID_INPUT", "key"),
    (b'{"items":[],"model":"other"}', "INVALID_INPUT", "model"),
    (b'{"text":"' + b"x" * MAX_REQUEST_BYTES + b'"}', "PAYLOAD_TOO_LARGE", None),
    (b"[" * 40_000, "INVALID_INPUT", "line"),
]


@pytest.mark.parametrize(("bad", "code", "field"), BAD_LINES)
async def test_a_bad_line_is_told_by_its_number_and_holds_up_nobody(http_port, bad, code, field):
    _, _, lines = await ask(http_port, item("a") + b"\n" + bad + b"\n" + item("b"))
    assert [line["line"] for line in lines] == [1, 2, 3]
    assert lines[1]["error"]["code"] == code
    assert lines[1]["error"].get("metadata", {}).get("field") == field
    assert "response" in lines[0]
    assert "response" in lines[2]


async def test_a_failure_of_ours_tells_nothing(http_port):
    _, _, [line] = await ask(http_port, item("a"), "/v1/encode/broken")
    assert line["error"]["code"] == "INTERNAL_ERROR"
    assert "secret" not in json.dumps(line)


async def test_answers_come_while_lines_are_sent(http_port):
    async with connect(http_port) as (reader, writer), asyncio.timeout(30):
        writer.write(raw_request("POST", ENCODE, b"", [TYPE, ("Transfer-Encoding", "chunked")]))
        for number in range(1, 4):
            line = item("x" * number) + b"\n"
            writer.write(b"%x\r\n%s\r\n" % (len(line), line))
            if number == 1:
                await read_head(reader)
            assert json.loads(await read_chunk(reader))["line"] == number
        writer.write(b"0\r\n\r\n")
        assert await read_lines(reader) == []


async def test_a_slow_line_holds_up_nobody_where_the_order_is_as_ready(http_port, inference):
    async def misbehave(_model):
        if len(inference.calls) == 1:
            await asyncio.sleep(0.3)

    inference._misbehave = misbehave
    body = b"\n".join(map(item, "abc"))
    _, _, lines = await ask(http_port, body, headers=[("X-SIE-Stream-Order", "ready")])
    assert [line["line"] for line in lines] == [2, 3, 1]


async def test_a_body_may_be_compressed(http_port):
    body = b"\n".join(item("x" * (n + 1)) for n in range(50))
    packed = gzip.compress(body)
    _, _, lines = await ask(http_port, packed, headers=[("Content-Encoding", "gzip")])
    assert len(lines) == 50
    _, _, lines = await ask(http_port, b"no gzip", headers=[("Content-Encoding", "gzip")])
    assert [line["error"]["metadata"]["field"] for line in lines] == ["body"]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (ENCODE + "?a=1", [], 400),
        (ENCODE, [("X-SIE-Stream-Order", "random")], 400),
        (ENCODE, [("Content-Encoding", "br")], 415),
        ("/v1/pools", [], 415),
        ("/v1/nothing", [], 404),
    ],
)
async def test_a_request_that_cannot_begin_is_refused(http_port, path, headers, status):
    found, _, body = await ask(http_port, item("a"), path, headers)
    assert found == status
    assert body["error"]["code"]


async def test_a_client_that_vanishes_takes_its_work_along(http_port, inference):
    async with connect(http_port) as (_, writer):
        writer.write(raw_request("POST", "/v1/encode/slow", item("a"), [TYPE]))
        await asyncio.wait_for(inference.called.wait(), 30)
    await asyncio.wait_for(inference.cancelled.wait(), 30)


async def test_a_client_that_vanishes_while_it_sends_takes_its_work_along(http_port, inference):
    async with connect(http_port) as (_, writer):
        head = raw_request("POST", "/v1/encode/slow", b"", [TYPE, ("Content-Length", "1000")])
        writer.write(head + item("a") + b"\n")
        await asyncio.wait_for(inference.called.wait(), 30)
    await asyncio.wait_for(inference.cancelled.wait(), 30)


async def test_a_client_that_does_not_read_is_not_read_from(http_port, inference):
    line = json.dumps({"id": "x" * 30_000, "text": "a"}).encode() + b"\n"
    async with connect(http_port) as (reader, writer):
        writer.write(
            raw_request("POST", ENCODE, b"", [TYPE, ("Content-Length", str(2000 * len(line)))])
        )
        writing = asyncio.create_task(_write(writer, [line] * 2000))
        await asyncio.wait_for(inference.at_rest(), 60)
        assert len(inference.calls) < 1000
        async with asyncio.timeout(30):
            assert (await read_head(reader))[0] == 200
            assert len(await read_lines(reader)) == 2000
        await writing


async def _write(writer, lines):
    for line in lines:
        writer.write(line)
        await writer.drain()


class TestAuth:
    @pytest.fixture
    def guard(self):
        narrow = Principal(tenant="t", limits=Limits(concurrent_requests=2))
        return Guard(Tokens({digest("token"): narrow}))

    async def test_an_unknown_caller_is_refused_before_a_line_is_read(self, http_port, inference):
        status, _, _ = await ask(http_port, item("a"))
        assert status == 401
        assert not inference.calls

    async def test_a_tenants_own_lines_do_not_reach_its_limit(self, http_port):
        headers = [("Authorization", "Bearer token")]
        body = b"\n".join(item("a") for _ in range(100))
        _, _, lines = await ask(http_port, body, headers=headers)
        assert all("response" in line for line in lines)
