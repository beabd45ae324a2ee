"""An rpc that nobody wrote code for, with every kind of field and binding."""

import tempfile
from importlib.resources import files
from pathlib import Path

import orjson
import pytest
from google.protobuf import descriptor_pool, field_mask_pb2, wrappers_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc
from prometheus_client import CollectorRegistry

from gateway.api import Api
from gateway.auth.guard import Guard
from gateway.json_calls import computes
from gateway.transcoder.binding import Binding
from gateway.transcoder.json_out import ResponseWriter
from gateway.transcoder.openapi import document
from gateway.transcoder.routes import RouteTable, routes_of
from servicekit.errors import SieError

ROOT = Path(__file__).parents[3]
PROTO = """
syntax = "proto3";
package sie.newrpc.v1;
import "google/api/annotations.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/wrappers.proto";

service TreeService {
  rpc UpdateTree(UpdateTreeRequest) returns (UpdateTreeResponse) {
    option (google.api.http) = {
      patch: "/v1/trees/{tree.name=plots/*}"
      body: "tree"
      additional_bindings {put: "/v1/trees/{tree.name=plots/*}:grow" body: "*"}
      additional_bindings {get: "/v1/trees:probe" response_body: "tree"}
    };
  }
}
enum Leaf { LEAF_UNSPECIFIED = 0; LEAF_BROAD = 1; }
message Tree {
  string name = 1;
  repeated Tree branches = 2;
  Leaf leaf = 3;
  repeated fixed64 rings = 4;
  map<bool, double> wet = 5;
  google.protobuf.Duration age = 6;
  google.protobuf.Value extra = 7;
  google.protobuf.Int64Value weight = 8;
  bytes seed = 9;
  map<int64, Tree> grafts = 10;
  repeated google.protobuf.Value values = 11;
  int64 height = 12;
}
message UpdateTreeRequest {
  Tree tree = 1;
  google.protobuf.FieldMask update_mask = 2;
  repeated Leaf leaves = 3;
  bool dry_run = 4;
}
message UpdateTreeResponse { Tree tree = 1; }
"""


@pytest.fixture(scope="module")
def service():
    loaded = [field_mask_pb2.DESCRIPTOR, wrappers_pb2.DESCRIPTOR]
    assert all(file.pool is descriptor_pool.Default() for file in loaded)
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "newrpc.proto"), Path(folder, "out")
        source.write_text(PROTO)
        include = [ROOT / "third_party/googleapis", files("grpc_tools") / "_proto", folder]
        arguments = ["protoc", *(f"-I{path}" for path in include)]
        assert protoc.main([*arguments, f"--descriptor_set_out={out}", str(source)]) == 0
        described = FileDescriptorSet.FromString(out.read_bytes())
    pool = descriptor_pool.Default()
    pool.Add(described.file[0])
    return pool.FindServiceByName("sie.newrpc.v1.TreeService")


@pytest.fixture
def routes(service):
    api = Api(
        [(service, object())],
        default_timeout_s=1,
        max_timeout_s=1,
        registry=CollectorRegistry(),
        guard=Guard(None),
    )
    return [route for endpoint in api.endpoints.values() for route in routes_of(endpoint)]


def read(routes, method, path, query="", body=b""):
    match = RouteTable(routes).find(method, path)
    return Binding(match.route).read(match.captured, query, body)


def test_a_body_field_a_nested_variable_and_query_fields_meet(routes):
    query = "update_mask=leaf,rings&leaves=broad&leaves=LEAF_BROAD&dryRun=true"
    request = read(routes, "PATCH", "/v1/trees/plots/a%2Fb", query, b'{"leaf":"broad"}')
    assert (request.tree.name, request.tree.leaf) == ("plots/a/b", 1)
    assert list(request.update_mask.paths) == ["leaf", "rings"]
    assert (list(request.leaves), request.dry_run) == ([1, 1], True)


def test_additional_bindings_are_routes_of_their_own(routes):
    request = read(routes, "PUT", "/v1/trees/plots/a:grow", "", b'{"dry_run":true}')
    assert (request.tree.name, request.dry_run) == ("plots/a", True)
    request = read(routes, "GET", "/v1/trees:probe", "tree.age=1.5s&tree.seed=AP8&tree.weight=7")
    assert (request.tree.age.nanos, request.tree.seed) == (500_000_000, b"\x00\xff")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("tree.leaf=x", "tree.leaf"),
        ("tree=1", "tree"),
        ("tree.branches.name=a", "tree.branches.name"),
        ("dry_run=1", "dry_run"),
        ("update_mask=%20A_", "update_mask"),
        ("tree.age=soon", "tree.age"),
    ],
)
def test_a_bad_query_value_names_its_field(routes, query, field):
    with pytest.raises(SieError) as caught:
        read(routes, "GET", "/v1/trees:probe", query)
    assert caught.value.metadata["field"] == field


def test_every_kind_of_field_comes_back_as_it_was_written(routes):
    tree = {
        "name": "plots/a",
        "branches": [],
        "leaf": "broad",
        "rings": ["1", "18446744073709551615"],
        "wet": {"false": 0.5, "true": 1.5},
        "age": "1.500s",
        "extra": None,
        "weight": "7",
        "seed": "AP8=",
        "grafts": {
            "-3": {
                "branches": [],
                "rings": [],
                "wet": {},
                "grafts": {},
                "values": [],
                "height": "0",
            }
        },
        "values": [None, 1, "a"],
        "height": "-5",
    }
    request = read(routes, "PATCH", "/v1/trees/plots/a", "", orjson.dumps(tree))
    route = RouteTable(routes).find("GET", "/v1/trees:probe").route
    response = route.endpoint.response_class(tree=request.tree)
    writer = ResponseWriter(route.endpoint.response_class, route.response_body)
    assert orjson.loads(writer.write(response.SerializeToString())) == tree


def test_a_message_within_itself_ends_with_an_error_not_a_crash(routes):
    deep = b'{"branches":[' * 500 + b"{}" + b"]}" * 500
    with pytest.raises(SieError, match="nested too deeply"):
        read(routes, "PATCH", "/v1/trees/plots/a", "", deep)


def test_it_is_in_the_openapi_document(routes):
    openapi = document(routes, "1", computes)
    assert set(openapi["paths"]) == {
        "/v1/trees/{tree.name}",
        "/v1/trees/{tree.name}:grow",
        "/v1/trees:probe",
    }
    probe = openapi["paths"]["/v1/trees:probe"]["get"]
    names = {p["name"] for p in probe["parameters"] if p.get("in") == "query"}
    assert {"tree.name", "tree.age", "tree.weight", "update_mask", "leaves", "dry_run"} <= names
    assert "sie.newrpc.v1.Tree" in openapi["components"]["schemas"]
