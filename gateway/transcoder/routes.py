"""The route table: HTTP method and path to an endpoint, from the services' annotations."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from google.api import annotations_pb2
from google.api.http_pb2 import HttpRule

from gateway.endpoint import Endpoint
from gateway.transcoder.path_template import PathTemplate
from servicekit.errors import SieError
from sie.errors.v1.error_reason_pb2 import ErrorReason

_LONGEST_SHOWN = 200


class Route(NamedTuple):
    """One binding of an rpc to HTTP."""

    endpoint: Endpoint
    http_method: str
    template: PathTemplate
    # "" (no body), "*" (the whole message) or the name of a field.
    body: str
    # "" (the whole message) or the name of a field.
    response_body: str


class Match(NamedTuple):
    """A route and what its template captured."""

    route: Route
    captured: tuple[str, ...]


class MethodNotAllowed(SieError):  # noqa: N818 - named by its meaning, as its base is
    """The path exists with other methods, which the header `allow` names."""

    def __init__(self, http_method: str, path: str, allow: Iterable[str]) -> None:
        methods = set(allow)
        if "GET" in methods:
            methods.add("HEAD")
        allowed = ", ".join(sorted(methods))
        self.headers = {"allow": allowed}
        super().__init__(
            ErrorReason.ERROR_REASON_METHOD_NOT_ALLOWED,
            f"{http_method} is not allowed on {path}; allowed: {allowed}",
            method=http_method,
            path=path,
        )


def routes_of(endpoint: Endpoint) -> Iterator[Route]:
    """The bindings that the rpc's `google.api.http` annotation declares."""
    options = endpoint.method.GetOptions()
    if not options.HasExtension(annotations_pb2.http):
        return
    rule = options.Extensions[annotations_pb2.http]
    for binding in [rule, *rule.additional_bindings]:
        http_method, template = _pattern(binding)
        yield Route(
            endpoint, http_method, PathTemplate(template), binding.body, binding.response_body
        )


class RouteTable:
    """Finds routes. Literal paths win over patterns, longer literal prefixes over shorter.

    Of the same prefix longer patterns win: `/v1/{id=**}/status` over `/v1/{id=**}`.

    Raises:
        ValueError: two routes match the same requests.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._literal: dict[str, dict[str, Route]] = {}
        patterns: dict[str, dict[str, Route]] = {}
        for route in routes:
            table = self._literal if route.template.is_literal else patterns
            key = route.template.template if route.template.is_literal else route.template.shape
            methods = table.setdefault(key, {})
            if (other := methods.setdefault(route.http_method, route)) is not route:
                raise ValueError(
                    f"{other.endpoint.path} and {route.endpoint.path} are both bound to "
                    f"{route.http_method} {route.template.template}"
                )
        self._patterns = sorted(
            (
                (next(iter(methods.values())).template.literal_prefix, shape, methods)
                for shape, methods in patterns.items()
            ),
            key=lambda entry: (len(entry[0]), len(entry[1])),
            reverse=True,
        )

    def find(self, http_method: str, path: str) -> Match:
        """The route of an undecoded path without its query.

        Raises:
            SieError: ROUTE_NOT_FOUND, or METHOD_NOT_ALLOWED as MethodNotAllowed.
        """
        route = self._literal.get(path, {}).get(http_method)
        if route is not None:
            return Match(route, ())
        for prefix, _, methods in self._patterns:
            if path.startswith(prefix) and (route := methods.get(http_method)) is not None:
                captured = route.template.match(path)
                if captured is not None:
                    return Match(route, captured)
        raise self._missing(http_method, path)

    def _missing(self, http_method: str, path: str) -> SieError:
        allow = set(self._literal.get(path, ()))
        for *_, methods in self._patterns:
            if next(iter(methods.values())).template.match(path) is not None:
                allow.update(methods)
        if allow:
            return MethodNotAllowed(http_method, path, allow)
        shown = path[:_LONGEST_SHOWN]
        return SieError(
            ErrorReason.ERROR_REASON_ROUTE_NOT_FOUND,
            f"nothing is served at {shown}; /openapi.json lists what is",
            path=shown,
        )


def _pattern(rule: HttpRule) -> tuple[str, str]:
    kind = rule.WhichOneof("pattern")
    if kind == "custom":
        return rule.custom.kind, rule.custom.path
    if kind is None:
        raise ValueError(f"an annotation without a path: {rule}")
    return kind.upper(), getattr(rule, kind)
