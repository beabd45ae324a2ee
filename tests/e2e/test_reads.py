"""What the gateway tells about itself and its models."""

import json
import re

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from cli.local_stack import DEFAULT_MODEL
from tests.asking import ENCODE, ask


def test_a_model_is_listed_with_what_it_can_do(stack):
    models = ask(stack.http_address, "GET", "/v1/models").json()["models"]
    (model,) = (model for model in models if model["name"] == DEFAULT_MODEL)
    assert model == ask(stack.http_address, "GET", f"/v1/models/{DEFAULT_MODEL}").json()
    assert model["name"] == DEFAULT_MODEL
    assert (model["inputs"], model["outputs"]) == (["text"], ["dense"])
    assert model["tasks"] == ["encode", "score"]
    assert (model["dims"], model["max_sequence_length"]) == ({"dense": 384}, 256)
    assert (model["state"], model["workers"]) == ("loaded", ["worker-1", "worker-2"])


@pytest.mark.parametrize("service", ["", "sie.inference.v1.InferenceService"])
def test_grpc_health_serves_every_name(channel, service):
    reply = health_pb2_grpc.HealthStub(channel).Check(
        health_pb2.HealthCheckRequest(service=service)
    )
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


def test_grpc_health_of_an_unknown_service_is_not_found(channel):
    with pytest.raises(grpc.RpcError) as caught:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="x"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("service", "status"),
    [("", "SERVING"), ("sie.inference.v1.InferenceService", "SERVING"), ("x", "SERVICE_UNKNOWN")],
)
def test_health_is_watched(channel, service, status):
    request = health_pb2.HealthCheckRequest(service=service)
    call = health_pb2_grpc.HealthStub(channel).Watch(request, timeout=20)
    assert next(call).status == health_pb2.HealthCheckResponse.ServingStatus.Value(status)
    assert call.is_active()
    call.cancel()


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_answers_in_both_versions(channel, version):
    call = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    (reply,) = call(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    names = {service.name for service in reply.list_services_response.service}
    assert {"sie.inference.v1.InferenceService", "grpc.health.v1.Health"} <= names


def test_probes_and_documents_are_served(stack):
    assert ask(stack.http_address, "GET", "/healthz").json() == {"status": "ok"}
    assert ask(stack.http_address, "GET", "/readyz").json()["healthy_workers"] == 2
    document = ask(stack.http_address, "GET", "/openapi.json").json()
    assert "/v1/encode/{model}" in document["paths"]


def test_metrics_count_what_was_asked(stack):
    def count():
        text = ask(stack.http_address, "GET", "/metrics").body.decode()
        labels = 'endpoint="encode",machine_profile="cpu",status="200"'
        pattern = rf"sie_gateway_requests_total\{{{labels}\}} (\S+)"
        found = re.search(pattern, text)
        return float(found.group(1)) if found else 0.0

    before = count()
    body = {"items": [{"text": "a"}]}
    ask(stack.http_address, "POST", ENCODE, body, {"x-sie-machine-profile": "cpu"})
    assert count() == before + 1


def test_a_pool_that_does_not_exist_is_not_found(stack):
    headers = {"x-sie-pool": "nobodys"}
    reply = ask(stack.http_address, "POST", ENCODE, {"items": [{"text": "a"}]}, headers)
    assert (reply.status, reply.json()["error"]["code"]) == (404, "POOL_NOT_FOUND")


def test_an_escaped_slash_in_a_model_id_is_a_slash(stack):
    model = ask(stack.http_address, "GET", f"/v1/models/{DEFAULT_MODEL.replace('/', '%2F')}")
    assert model.json()["name"] == DEFAULT_MODEL


def test_an_unknown_machine_profile_answers_503_with_those_that_exist(stack):
    headers = {"x-sie-machine-profile": "h100"}
    reply = ask(stack.http_address, "POST", ENCODE, {"items": [{"text": "a"}]}, headers)
    body = reply.json()
    assert reply.status == 503
    assert (body["status"], body["gpu"]) == ("gpu_not_configured", "h100")
    assert body["configured_gpu_types"] == ["cpu"]
    assert json.dumps(body).count("h100") >= 2


def test_workers_without_a_lease_are_in_the_pool_of_everybody(stack):
    (pool,) = ask(stack.http_address, "GET", "/v1/pools").json()["pools"]
    assert pool["spec"]["name"] == "default"
    assert [worker["gpu"] for worker in pool["status"]["assigned_workers"]] == ["cpu", "cpu"]
