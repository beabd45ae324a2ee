import pytest

from gateway.transcoder.routes import MethodNotAllowed, RouteTable, routes_of
from servicekit.errors import SieError, code_of


@pytest.fixture
def table(api):
    return RouteTable(route for endpoint in api.endpoints.values() for route in routes_of(endpoint))


@pytest.mark.parametrize(
    ("method", "path", "rpc", "captured"),
    [
        ("POST", "/v1/encode/org/model", "InferenceService/Encode", ("org/model",)),
        ("GET", "/v1/models", "ModelService/ListModels", ()),
        ("GET", "/v1/models/a", "ModelService/GetModel", ("a",)),
        ("POST", "/v1/pools", "PoolService/CreatePool", ()),
        ("POST", "/v1/pools/p/renew", "PoolService/RenewPool", ("p",)),
        ("DELETE", "/v1/pools/p", "PoolService/DeletePool", ("p",)),
        ("GET", "/v1/configs/models/a/b", "RegistryService/GetModel", ("a/b",)),
        ("DELETE", "/v1/configs/models/a/b", "RegistryAdminService/DeleteModel", ("a/b",)),
    ],
)
def test_a_request_finds_its_rpc(table, method, path, rpc, captured):
    match = table.find(method, path)
    assert match.route.endpoint.path.endswith(rpc)
    assert match.captured == captured


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/models/", "/v1/pools/p/q", "/V1/models", ""])
def test_an_unknown_path_is_not_found(table, path):
    with pytest.raises(SieError) as caught:
        table.find("GET", path)
    assert code_of(caught.value.reason) == "ROUTE_NOT_FOUND"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/v1/models", "GET, HEAD"),
        ("PUT", "/v1/pools", "GET, HEAD, POST"),
        ("POST", "/v1/configs/models/a", "DELETE, GET, HEAD, PUT"),
        ("GET", "/v1/encode/a", "POST"),
    ],
)
def test_a_known_path_names_the_methods_it_allows(table, method, path, allow):
    with pytest.raises(MethodNotAllowed) as caught:
        table.find(method, path)
    assert caught.value.headers == {"allow": allow}


def test_two_rpcs_on_one_route_are_refused_at_start(api):
    endpoint = api.endpoints["/sie.inference.v1.ModelService/ListModels"]
    with pytest.raises(ValueError, match="both bound"):
        RouteTable([*routes_of(endpoint), *routes_of(endpoint)])
