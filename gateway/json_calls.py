"""Calls whose bodies are JSON values one by one: lines of a stream, and of a batch.

What a line holds is what the body of a request to the path would be, for every rpc that
computes something, and its answer is what the response's body would be.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.access_log import Record
from gateway.api import Api
from gateway.auth.guard import Access
from gateway.auth.principal import Principal
from gateway.endpoint import Endpoint
from gateway.large_bodies import beside_the_loop
from gateway.transcoder.binding import Binding
from gateway.transcoder.json_bounds import MOST_CONTAINERS, within_bounds
from gateway.transcoder.json_out import ResponseWriter
from gateway.transcoder.names import descriptor_of
from gateway.transcoder.routes import Match, Route, RouteTable, routes_of
from gateway.transcoder.schema import is_required
from servicekit.errors import invalid


def computes(route: Route) -> bool:
    """Whether a route can be called line by line."""
    computing = route.endpoint.access is Access.COMPUTE
    return computing and route.http_method == "POST" and route.body == "*"


class JsonCalls:
    """The calls of an api that compute something.

    Args:
        api: where they go.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        routes = [route for endpoint in api.endpoints.values() for route in routes_of(endpoint)]
        computing = [route for route in routes if computes(route)]
        self._routes = RouteTable(computing)
        self._bindings = {route: Binding(route) for route in computing}
        self._writers = {
            route: ResponseWriter(route.endpoint.response_class, route.response_body)
            for route in computing
        }
        # What paths that name a model begin with.
        self.families = frozenset(
            route.template.literal_prefix.rstrip("/")
            for route in computing
            if not route.template.is_literal
        )

    def find(self, path: str) -> Match:
        """The call that a path stands for.

        Raises:
            SieError: ROUTE_NOT_FOUND, or METHOD_NOT_ALLOWED.
        """
        return self._routes.find("POST", path)

    async def answer(
        self,
        match: Match,
        body: Any,
        size: int,
        metadata: Mapping[str, str],
        request_id: str,
        *,
        principal: Principal | None = None,
        timeout_s: float | None = None,
    ) -> bytes:
        """The response's body, as JSON.

        Args:
            match: which call.
            body: the request's, parsed.
            size: of what it was parsed from, in bytes.
            metadata: headers that hold for it.
            request_id: its own.
            principal: who calls, where the headers do not say.
            timeout_s: bounds it, in seconds.

        Raises:
            SieError: the call failed.
        """
        read = self._bindings[match.route].read_value
        request = await beside_the_loop(size, read, match.captured, "", body)
        endpoint = match.route.endpoint
        record = Record(request_id, "POST", endpoint.path)
        reply = await self._api.call(endpoint, request, metadata, timeout_s, record, principal)
        write = self._writers[match.route].write
        return await beside_the_loop(len(reply.body), write, reply.body)


def parsed(line: bytes) -> dict[str, Any]:
    """The object in a line.

    Raises:
        SieError: INVALID_INPUT.
    """
    if not within_bounds(line):
        raise invalid("line", f"holds more than {MOST_CONTAINERS} objects and lists")
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        problem = error.msg.split(": line ")[0]
        raise invalid("line", f"not JSON at column {error.colno}: {problem}") from None
    if type(value) is not dict:
        raise invalid("line", "must be an object")
    return value


def with_item(endpoint: Endpoint, body: dict[str, Any]) -> dict[str, Any]:
    """The body that a line stands for, which may also be the only item of one."""
    fields = descriptor_of(endpoint.request_class).fields_by_name
    needed = {name for name, field in fields.items() if is_required(field)} - {"model"}
    is_item = bool(body) and not any(key in fields for key in body)
    return {"items": [body]} if needed == {"items"} and is_item else body
