"""The server's end: nobody who has come is turned away without a word."""

import asyncio

from gateway.http.server import HttpServer

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def app(scope, receive, send):
    await send(
        {"type": "http.response.start", "status": 503, "headers": [(b"content-length", b"5")]}
    )
    await send({"type": "http.response.body", "body": b"going"})


async def test_a_request_on_a_connection_that_was_made_before_the_end_is_answered():
    server = HttpServer(app, "127.0.0.1", 0)
    port = await server.start()
    made = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
    stopping = asyncio.create_task(server.stop(5.0))
    # It has begun to stop by now: the server looks for that every tenth of a second.
    await asyncio.sleep(0.12)
    for _, writer in made:
        writer.write(REQUEST)
    replies = await asyncio.gather(*(reader.read() for reader, _ in made))
    assert all(reply.endswith(b"going") for reply in replies)
    await stopping
    for _, writer in made:
        writer.close()
