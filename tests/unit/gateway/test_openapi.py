import re

import orjson
import pytest

from gateway.json_calls import computes
from gateway.transcoder.openapi import document
from gateway.transcoder.routes import routes_of


@pytest.fixture
def routes(api):
    return [route for endpoint in api.endpoints.values() for route in routes_of(endpoint)]


@pytest.fixture
def openapi(routes):
    return orjson.loads(orjson.dumps(document(routes, "1.2.3", computes)))


def references(node):
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def operations(openapi):
    return [
        (path, method, operation)
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_annotated_rpc_is_there(openapi, routes):
    assert len(operations(openapi)) == len(routes)
    assert "/v1/encode/{model}" in openapi["paths"]
    assert set(openapi["paths"]["/v1/pools"]) == {"get", "post"}


def test_every_reference_leads_somewhere(openapi):
    for reference in references(openapi):
        node = openapi
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
        assert node


def test_every_path_variable_is_a_parameter(openapi):
    for path, _, operation in operations(openapi):
        declared = {p["name"] for p in operation["parameters"] if p.get("in") == "path"}
        assert set(re.findall(r"\{([^}]+)\}", path)) == declared


def test_operation_ids_are_unique(openapi):
    ids = [operation["operationId"] for _, _, operation in operations(openapi)]
    assert len(set(ids)) == len(ids)


def test_a_body_leaves_out_what_the_path_binds(openapi):
    encode = openapi["paths"]["/v1/encode/{model}"]["post"]
    body = encode["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["properties"]) == {"items", "params"}
    assert body["required"] == ["items"]
    assert body["additionalProperties"] is False
    assert encode["summary"].startswith("Turns items into")


def test_query_fields_are_parameters(openapi):
    names = {p.get("name") for p in openapi["paths"]["/v1/models"]["get"]["parameters"]}
    assert {"page_size", "page_token"} <= names


def test_enums_and_vectors_are_described_as_they_are_written(openapi):
    schemas = openapi["components"]["schemas"]
    assert schemas["sie.inference.v1.OutputType"]["enum"] == ["dense", "sparse", "multivector"]
    assert "data" not in schemas["sie.inference.v1.DenseVector"]["properties"]
    text = schemas["sie.inference.v1.Item"]["properties"]["text"]
    assert text["description"].startswith("Text in UTF-8.")


def test_errors_are_listed_by_status(openapi):
    responses = openapi["components"]["responses"]
    assert "`MODEL_NOT_FOUND`: The registry holds no such model." in responses["404"]["description"]
    assert "Retry-After" in responses["503"]["headers"]


def test_routes_that_compute_take_lines(openapi):
    by_line = {
        path
        for path, method, operation in operations(openapi)
        if "application/x-ndjson" in operation.get("requestBody", {}).get("content", {})
    }
    assert {"/v1/encode/{model}", "/v1/score/{model}", "/v1/extract/{model}"} <= by_line
    assert "/v1/pools" not in by_line
    encode = openapi["paths"]["/v1/encode/{model}"]["post"]
    assert "application/x-ndjson" in encode["responses"]["200"]["content"]
