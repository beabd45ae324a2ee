"""HTTP clients with as little of their own as Python allows."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

import orjson


def head(address: str, path: str, headers: Sequence[str] = ()) -> bytes:
    lines = (
        f"POST {path} HTTP/1.1",
        f"host: {address}",
        "content-type: application/json",
        *headers,
        "content-length: ",
    )
    return "\r\n".join(lines).encode()


def encode_path(model: str) -> str:
    return f"/v1/encode/{model}"


def blocking(address: str, path: str) -> Callable[[str], None]:
    """Encodes one text on a keep-alive connection and reads the whole reply."""
    host, port = address.split(":")
    connection = socket.create_connection((host, int(port)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    prefix = head(address, path)

    def encode(text: str) -> None:
        body = orjson.dumps({"items": [{"text": text}]})
        connection.sendall(b"%b%d\r\n\r\n%b" % (prefix, len(body), body))
        received = b""
        while b"\r\n\r\n" not in received:
            received += _more(connection)
        status, length, start = _parse(received)
        while len(received) < start + length:
            received += _more(connection)
        assert status == b"200", received[:300]

    return encode


async def connect(
    address: str, path: str, headers: Sequence[str] = ()
) -> Callable[[bytes], Awaitable[None]]:
    """Sends request bodies on a keep-alive connection."""
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    prefix = head(address, path, headers)

    async def send(body: bytes) -> None:
        writer.write(b"%b%d\r\n\r\n%b" % (prefix, len(body), body))
        received = await reader.readuntil(b"\r\n\r\n")
        status, length, _ = _parse(received)
        reply = await reader.readexactly(length)
        assert status == b"200", reply[:300]

    return send


def _more(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    assert received, "the gateway closed the connection"
    return received


def _parse(received: bytes) -> tuple[bytes, int, int]:
    """Status, length of the body, and where it starts."""
    top, _, _ = received.partition(b"\r\n\r\n")
    length = int(top.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return top.split(b" ", 2)[1], length, len(top) + 4
