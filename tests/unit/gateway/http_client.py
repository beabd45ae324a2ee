"""A raw HTTP/1.1 client: tests of an edge must be able to send anything."""

import asyncio
import contextlib
from typing import NamedTuple

import orjson


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return orjson.loads(self.body)


@contextlib.asynccontextmanager
async def connect(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def read_answer(reader, with_body=True):
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.split(": ", 1) for line in head[1:] if line)
    headers = {name.lower(): value for name, value in pairs}
    length = int(headers.get("content-length", "0"))
    body = await reader.readexactly(length) if with_body else b""
    return Answer(int(head[0].split()[1]), headers, body)


def raw_request(method, path, body=b"", headers=()):
    lines = [f"{method} {path} HTTP/1.1", "Host: sie", *(f"{k}: {v}" for k, v in headers)]
    if body and not any(name.lower() == "transfer-encoding" for name, _ in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def ask(port, method, path, body=b"", headers=()):
    async with connect(port) as (reader, writer):
        writer.write(raw_request(method, path, body, headers))
        return await asyncio.wait_for(read_answer(reader, method != "HEAD"), 30)
