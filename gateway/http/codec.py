"""One route's bodies: JSON, MessagePack, and YAML on the routes of the registry."""

import asyncio
from collections.abc import Collection, Mapping

from google.protobuf.message import Message

from gateway.endpoint import Reply
from gateway.http.msgpack import MSGPACK_TYPES, asked_msgpack, is_msgpack, pack, unpack
from gateway.http.response import JSON, Response
from gateway.http.yaml import (
    YAML,
    YAML_TYPES,
    is_yaml,
    read_yaml,
    speaks_yaml,
    wants_yaml,
    write_yaml,
)
from gateway.large_bodies import beside_the_loop
from gateway.transcoder.binding import Binding
from gateway.transcoder.json_out import ResponseWriter
from gateway.transcoder.routes import Route


class Codec:
    """Reads the requests of a route and writes its responses."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._binding = Binding(route)
        self._writer = ResponseWriter(route.endpoint.response_class, route.response_body)
        self._speaks_yaml = speaks_yaml(route)
        yaml = YAML_TYPES if self._speaks_yaml and route.body else frozenset[str]()
        # What is read beside JSON.
        self.content_types: Collection[str] = MSGPACK_TYPES | yaml

    async def read(
        self, metadata: Mapping[str, str], captured: tuple[str, ...], query: str, body: bytes
    ) -> Message:
        """The request message.

        Raises:
            SieError: INVALID_INPUT, naming the field.
        """
        if body and is_msgpack(metadata):
            return await beside_the_loop(len(body), self._read_msgpack, captured, query, body)
        if body and self._speaks_yaml and is_yaml(metadata):
            message = self._route.endpoint.request_class()
            await read_yaml(message, self._route.body, body)
            self._binding.bind(message, captured, query)
            return message
        return await beside_the_loop(len(body), self._binding.read, captured, query, body)

    async def write(self, metadata: Mapping[str, str], reply: Reply) -> Response:
        """The response, as the caller accepts it; JSON where nothing is said."""
        status = self._route.endpoint.http_status
        if self._speaks_yaml and wants_yaml(metadata):
            text = await asyncio.to_thread(write_yaml, self._route, reply.body)
            return Response(status, text, {"content-type": YAML, **reply.headers})
        if content_type := asked_msgpack(metadata):
            packed = await beside_the_loop(len(reply.body), self._write_msgpack, reply.body)
            return Response(status, packed, {"content-type": content_type, **reply.headers})
        body = await beside_the_loop(len(reply.body), self._writer.write, reply.body)
        return Response(status, body, {"content-type": JSON, **reply.headers})

    def _read_msgpack(self, captured: tuple[str, ...], query: str, body: bytes) -> Message:
        return self._binding.read_value(captured, query, unpack(body))

    def _write_msgpack(self, body: bytes) -> bytes:
        return pack(self._writer.render(body))
