"""Clients that send slowly, read slowly or not at all: cut after a while, and nobody else is."""

import asyncio
import socket
import time

import pytest

from gateway.http.server import HttpServer
from tests.unit.gateway.http_client import connect, raw_request, read_answer
from tests.waiting import PATIENCE_S as LONG_S

PATIENCE_S = 0.3
REPLY_BYTES = 32 * 1024 * 1024


async def app(scope, receive, send):
    body = b"x" * REPLY_BYTES if scope["path"] == "/large" else b"ok"
    length = str(len(body)).encode()
    headers = [(b"content-length", length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def port():
    server = HttpServer(
        app, "127.0.0.1", 0, headers_within_s=PATIENCE_S, keep_alive_s=2 * PATIENCE_S
    )
    yield await server.start()
    await server.stop(0.05)


@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\nhost: x\r\n"])
async def test_a_head_that_does_not_end_is_cut(port, sent):
    began = time.monotonic()
    async with connect(port) as (reader, writer):
        writer.write(sent)
        assert await read_to_end(reader) == b""
    assert PATIENCE_S * 0.9 < time.monotonic() - began < PATIENCE_S + 3


async def test_a_byte_now_and_then_is_not_enough(port):
    async with connect(port) as (reader, writer):
        ended = asyncio.create_task(read_to_end(reader))
        for byte in b"GET / HTTP/1.1\r\nhost: " + b"x" * 100:
            if ended.done():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(PATIENCE_S / 10)
        assert await ended == b""


async def test_a_second_head_on_a_connection_is_bounded_too(port):
    async with connect(port) as (reader, writer):
        writer.write(raw_request("GET", "/"))
        assert (await read_answer(reader)).status == 200
        writer.write(b"GET /second")
        assert await read_to_end(reader) == b""


async def test_requests_follow_each_other_for_longer_than_a_head_may_take(port):
    async with connect(port) as (reader, writer):
        for _ in range(6):
            writer.write(raw_request("GET", "/"))
            assert (await read_answer(reader)).status == 200
            await asyncio.sleep(PATIENCE_S / 3)


async def test_who_reads_nothing_is_cut_and_who_reads_slowly_is_not(port):
    loop = asyncio.get_running_loop()
    stalled, slow = await reader_of_much(port), await reader_of_much(port)
    received = 0
    while received < REPLY_BYTES:
        part = await loop.sock_recv(slow, 2 * 1024 * 1024)
        assert part, "cut while it was reading"
        received += len(part)
        await asyncio.sleep(PATIENCE_S / 2)
    # Of what it did not read the client finds only what its system had taken already.
    assert await received_by(stalled) < REPLY_BYTES
    for each in (stalled, slow):
        each.close()


async def reader_of_much(port):
    client = socket.socket()
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", port))
    await loop.sock_sendall(client, raw_request("GET", "/large"))
    return client


async def received_by(client):
    loop, received = asyncio.get_running_loop(), 0
    try:
        while part := await asyncio.wait_for(loop.sock_recv(client, 1024 * 1024), LONG_S):
            received += len(part)
    except ConnectionResetError:
        pass
    return received


async def read_to_end(reader):
    try:
        return await asyncio.wait_for(reader.read(), LONG_S)
    except ConnectionResetError:
        return b""


FLOODS = {
    "one header": (b"GET / HTTP/1.1\r\nhost: x\r\nx-a: ", b"a" * 10_000),
    "many headers": (b"GET / HTTP/1.1\r\nhost: x\r\n", b"x-b: a\r\n" * 1000),
    "target": (b"GET /", b"a" * 10_000),
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_head_without_end_is_refused_before_it_fills_the_memory(port, flood):
    begin, more = FLOODS[flood]
    async with connect(port) as (reader, writer):
        # To the byte, so that none is left that would reset the connection under the answer.
        writer.write((begin + more * 30)[: 64 * 1024 + 1])
        answer = await asyncio.wait_for(read_answer(reader), LONG_S)
        assert (answer.status, answer.json["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
        assert answer.headers["connection"] == "close"
        assert await read_to_end(reader) == b""


@pytest.mark.parametrize("begin", [b"0\r\nx-trailer: ", b"2;extension="])
async def test_what_frames_a_body_is_bounded_too(begin):
    ended = asyncio.Event()

    async def patient(_scope, receive, _send):
        while (event := await receive())["type"] != "http.disconnect" and event["more_body"]:
            pass
        ended.set()

    server = HttpServer(patient, "127.0.0.1", 0)
    async with connect(await server.start()) as (reader, writer):
        head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n"
        writer.write(head + begin + b"a" * 400_000)
        # What was sent behind the bound may reset the connection under the answer.
        answer = await asyncio.wait_for(read_to_end(reader), LONG_S)
        assert answer[:12] in (b"", b"HTTP/1.1 413")
        await asyncio.wait_for(ended.wait(), LONG_S)
    await server.stop(1)


@pytest.mark.parametrize(
    ("coding", "body"), [(b"chunked", b"zz\r\n{}\r\n"), (b"chunked", b"2\r\n{}}"), (b"gzip", b"{}")]
)
async def test_a_body_that_breaks_its_framing_is_answered(coding, body):
    ended = asyncio.Event()

    async def patient(_scope, receive, _send):
        while (await receive())["type"] != "http.disconnect":
            pass
        ended.set()

    server = HttpServer(patient, "127.0.0.1", 0)
    async with connect(await server.start()) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: " + coding + b"\r\n\r\n")
        writer.write(body)
        answer = await asyncio.wait_for(read_answer(reader), LONG_S)
        assert (answer.status, answer.json["error"]["code"]) == (400, "INVALID_INPUT")
        await asyncio.wait_for(ended.wait(), LONG_S)
    await server.stop(1)


async def test_a_body_in_many_small_chunks_is_no_flood():
    read = bytearray()

    async def reading(_scope, receive, send):
        more = True
        while more:
            event = await receive()
            read.extend(event["body"])
            more = event["more_body"]
        await app({"path": "/"}, receive, send)

    server = HttpServer(reading, "127.0.0.1", 0)
    async with connect(await server.start()) as (reader, writer):
        head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        writer.write(head + b"1\r\na\r\n" * 50_000 + b"0\r\n\r\n")
        assert (await asyncio.wait_for(read_answer(reader), LONG_S)).status == 200
    assert len(read) == 50_000
    await server.stop(1)


async def test_what_is_no_http_is_told_so_in_the_shape_of_every_error(port):
    async with connect(port) as (reader, writer):
        writer.write(b"\x16\x03\x01\x02\x00\x01\r\n\r\n")
        answer = await read_answer(reader)
        assert (answer.status, answer.json["error"]["code"]) == (400, "INVALID_INPUT")
        assert answer.headers["x-sie-error-code"] == "INVALID_INPUT"
