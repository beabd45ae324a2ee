"""Connections that send half a request, or nothing, beside those that serve."""

import asyncio

import pytest

from gateway.http_protocol import BoundedHttpProtocol
from gateway.http_server import HttpServer

HEAD = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


async def app(scope, receive, send):
    await asyncio.sleep(0.3)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
async def connect(monkeypatch):
    monkeypatch.setattr(BoundedHttpProtocol, "head_s", 0.2)
    server = HttpServer(app, "127.0.0.1", 0)
    port = await server.start()
    writers = []

    async def open_one():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        return reader, writer

    yield open_one
    for writer in writers:
        writer.close()
    await server.stop(1.0)


async def test_half_a_head_closes_the_connection(connect):
    reader, writer = await connect()
    writer.write(HEAD[:-4])
    assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_a_head_that_dribbles_closes_the_connection(connect):
    reader, writer = await connect()

    async def dribble():
        for byte in HEAD * 10:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)

    dribbling = asyncio.create_task(dribble())
    assert await asyncio.wait_for(reader.read(), 5) == b""
    dribbling.cancel()


async def test_a_request_may_take_longer_than_its_head_and_so_may_the_next(connect):
    reader, writer = await connect()
    for _ in range(2):
        writer.write(HEAD)
        assert b"200 OK" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 5)
        await asyncio.sleep(0.3)
