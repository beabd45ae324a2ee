"""Callers, what they may do, and their limits, through both real faces."""

import asyncio
import http.client
import json
from contextlib import closing

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from prometheus_client import CollectorRegistry

from gateway.auth.guard import Access, Guard, access_of
from gateway.auth.modes import tokens_of
from gateway.auth.pages import PageRules
from gateway.auth.tokens import TokenFileError, digest, read_tokens
from gateway.http.face import HttpFace, Readiness
from gateway.http.server import HttpServer
from gateway.http.websocket import StatusSocket
from gateway.json_calls import JsonCalls
from servicekit.errors import SieError, code_of
from servicekit.settings import SettingsError
from sie.compat.v1 import tei_text_service_pb2
from sie.inference.v1.inference_service_pb2 import EncodeRequest
from sie.inference.v1.inference_service_pb2_grpc import InferenceServiceStub
from sie.inference.v1.item_pb2 import Item
from sie.oip import open_inference_pb2
from sie.pool.v1 import pool_service_pb2
from sie.registry.v1 import registry_admin_service_pb2, registry_service_pb2
from tests.unit.gateway.support import MAX_REQUEST_BYTES

FILE = """
tokens:
  - token: acme-token
    tenant: acme
    pools: [acme]
    models: ["BAAI/*"]
    limits: {tokens_per_minute: 100, concurrent_requests: 1}
  - sha256: %s
    tenant: ops
    admin: true
"""
BODY = json.dumps({"items": [{"text": "x"}]}).encode()


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "tokens.yaml"
    path.write_text(FILE % digest("ops-token"))
    return path


@pytest.fixture
def guard(token_file, clock):
    return Guard(tokens_of("static", ["user-token"], "admin-token", token_file), clock)


async def ask(port, method, path, token=None, body=None, scheme="Bearer "):

    def request():
        headers = {} if token is None else {"authorization": f"{scheme}{token}"}
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            return reply.status, dict(reply.getheaders()), reply.read()

    return await asyncio.to_thread(request)


@pytest.mark.parametrize("token", [None, "", "wrong", "user-token2", "user-toke", "\xff"])
async def test_without_a_known_token_nothing_is_read(http_port, inference, token):
    status, headers, body = await ask(http_port, "POST", "/v1/encode/m", token, b"not json")
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    assert json.loads(body)["error"]["code"] == "UNAUTHENTICATED"
    assert not inference.calls


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer  ", ""])
@pytest.mark.parametrize("token", ["user-token", "admin-token", "ops-token"])
async def test_every_known_token_serves(http_port, token, scheme):
    status, _, _ = await ask(http_port, "POST", "/v1/encode/m", token, BODY, scheme)
    assert status == 200


async def test_grpc_asks_for_the_same_token(grpc_channel):
    encode = InferenceServiceStub(grpc_channel).Encode
    request = EncodeRequest(model="m", items=[Item(text="x")])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await encode(request)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    await encode(request, metadata=[("authorization", "Bearer user-token")])


@pytest.mark.parametrize(
    ("token", "method", "path", "status"),
    [
        ("user-token", "POST", "/v1/configs/models", 403),
        ("acme-token", "POST", "/v1/configs/models", 403),
        ("admin-token", "POST", "/v1/configs/models", 501),
        ("ops-token", "DELETE", "/v1/configs/models/m", 501),
        ("user-token", "DELETE", "/v1/configs/models/m", 403),
        ("user-token", "GET", "/v1/configs/models", 501),
        (None, "GET", "/v1/configs/models", 401),
        (None, "GET", "/v1/models", 401),
        ("user-token", "GET", "/v1/models", 200),
        (None, "GET", "/healthz", 200),
        (None, "GET", "/readyz", 200),
        (None, "GET", "/metrics", 200),
        (None, "GET", "/openapi.json", 200),
    ],
)
async def test_what_a_token_opens(http_port, token, method, path, status):
    body = b'{"model_id": "m"}' if method == "POST" else None
    assert (await ask(http_port, method, path, token, body))[0] == status


def test_an_rpc_that_nobody_listed_is_the_administrators():
    def access(module, service, name):
        method = module.DESCRIPTOR.services_by_name[service].methods_by_name[name]
        return access_of(method)

    admin, reads = registry_admin_service_pb2, registry_service_pb2
    assert access(admin, "RegistryAdminService", "ApplyModel") is Access.ADMIN
    assert access(reads, "RegistryService", "GetModel") is Access.READ
    assert access(open_inference_pb2, "GRPCInferenceService", "ModelInfer") is Access.COMPUTE
    assert access(open_inference_pb2, "GRPCInferenceService", "ModelReady") is Access.USE
    assert access(tei_text_service_pb2, "TeiTextService", "Predict") is Access.COMPUTE
    assert access(tei_text_service_pb2, "TeiTextService", "GetInfo") is Access.USE
    assert access(pool_service_pb2, "PoolService", "GetPool") is Access.USE
    assert access(pool_service_pb2, "PoolService", "CreatePool") is Access.RESERVE


def test_a_principal_keeps_to_its_models_and_pools(guard):
    acme = guard.identify({"authorization": "Bearer acme-token"})
    acme.check_model("BAAI/bge-m3")
    acme.check_pool("acme")
    acme.check_reserves("acme")
    for check, name in (
        (acme.check_model, "intfloat/e5"),
        (acme.check_pool, "default"),
        (acme.check_reserves, "other"),
    ):
        with pytest.raises(SieError) as caught:
            check(name)
        assert code_of(caught.value.reason) == "PERMISSION_DENIED"


def test_pools_are_the_administrators_where_there_is_one():
    alone = tokens_of("static", ["t"], "", None)
    alone.principal("t").check_reserves("any")
    beside = tokens_of("static", ["t"], "a", None)
    beside.principal("a").check_reserves("any")
    with pytest.raises(SieError):
        beside.principal("t").check_reserves("any")


def test_tokens_a_minute_are_charged_afterwards_and_come_back(guard, clock):
    metadata = {"authorization": "acme-token"}
    with guard.admit(Access.COMPUTE, metadata) as admission:
        admission.tokens = 150
    with pytest.raises(SieError) as caught, guard.admit(Access.COMPUTE, metadata):
        pass
    assert caught.value.metadata == {"tenant": "acme", "limit": "tokens_per_minute"}
    assert caught.value.retry_after_s == pytest.approx(51 * 0.6)
    clock.now += caught.value.retry_after_s
    with guard.admit(Access.COMPUTE, metadata):
        pass


def test_an_idle_minute_is_not_saved_up(guard, clock):
    metadata = {"authorization": "acme-token"}
    clock.now = 1e6
    with guard.admit(Access.COMPUTE, metadata) as admission:
        admission.tokens = 101
    with pytest.raises(SieError), guard.admit(Access.COMPUTE, metadata):
        pass


def test_calls_in_flight_are_counted_out_even_when_they_fail(guard):
    metadata = {"authorization": "acme-token"}
    for _ in range(3):
        with pytest.raises(RuntimeError), guard.admit(Access.COMPUTE, metadata):
            raise RuntimeError
    with guard.admit(Access.COMPUTE, metadata):
        with pytest.raises(SieError) as caught, guard.admit(Access.COMPUTE, metadata):
            pass
        assert caught.value.metadata["limit"] == "concurrent_requests"
        assert caught.value.retry_after_s
    with guard.admit(Access.COMPUTE, {"authorization": "user-token"}):
        pass


def test_who_has_no_tokens_left_may_still_look_and_renew(guard):
    metadata = {"authorization": "acme-token"}
    with guard.admit(Access.COMPUTE, metadata) as admission:
        admission.tokens = 150
    for access in (Access.USE, Access.RESERVE):
        with guard.admit(access, metadata):
            pass
    with pytest.raises(SieError), guard.admit(Access.COMPUTE, metadata):
        pass


async def test_a_quota_is_429_with_retry_after_and_a_quota_failure(
    http_port, grpc_channel, guard, inference
):
    with guard.admit(Access.USE, {"authorization": "acme-token"}):
        status, headers, body = await ask(http_port, "POST", "/v1/encode/m", "acme-token", BODY)
        assert (status, headers["retry-after"]) == (429, "1")
        assert json.loads(body)["error"]["code"] == "QUOTA_EXCEEDED"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await InferenceServiceStub(grpc_channel).Encode(
                EncodeRequest(model="m"), metadata=[("authorization", "acme-token")]
            )
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    trailer = dict(caught.value.trailing_metadata())["grpc-status-details-bin"]
    failure = error_details_pb2.QuotaFailure()
    assert any(detail.Unpack(failure) for detail in status_pb2.Status.FromString(trailer).details)
    assert failure.violations[0].subject == "tenant:acme"
    assert not inference.calls


@pytest.mark.parametrize(
    ("mode", "tokens", "admin", "problem"),
    [
        ("statc", ["t"], "", "SIE_AUTH_MODE='statc'"),
        ("static", [], "", "needs SIE_AUTH_TOKEN"),
        ("none", ["t"], "", "set it to static"),
        ("none", [], "a", "set it to static"),
        ("", [], "", "must be none or static"),
    ],
)
def test_a_wrong_mode_refuses_to_start(mode, tokens, admin, problem):
    with pytest.raises(SettingsError, match=problem):
        tokens_of(mode, tokens, admin, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "one key 'tokens'"),
        ("tokens: x", "must be a list"),
        ("tokens: [x]", r"tokens\[0\]: must be a map"),
        ("tokens: [{tenant: a}]", "exactly one of sha256 and token"),
        ("tokens: [{token: a, sha256: b}]", "exactly one of sha256 and token"),
        ("tokens: [{sha256: abc}]", "64 hex digits"),
        ("tokens: [{token: a, role: b}]", "unknown field 'role'"),
        ("tokens: [{token: a, admin: 1}]", r"admin: must be true or false"),
        ("tokens: [{token: a, pools: b}]", r"pools: must be a list"),
        ("tokens: [{token: a, models: [1]}]", r"models\[0\]"),
        ("tokens: [{token: a, limits: {tokens_per_minute: -1}}]", "whole number"),
        ("tokens: [{token: a, limits: {rps: 1}}]", "must be a map of"),
        ("tokens: [{token: a}, {token: a}]", "twice"),
        ("tokens: [{token: secret", "ParserError$"),
    ],
)
def test_a_file_of_tokens_is_read_strictly(tmp_path, text, problem):
    path = tmp_path / "tokens.yaml"
    path.write_text(text)
    with pytest.raises(TokenFileError, match=problem) as caught:
        read_tokens(path)
    assert "secret" not in str(caught.value)


async def test_metrics_may_have_a_token_of_their_own(api, guard):
    rules = PageRules(guard, "scraper", open_operational=False)
    face = HttpFace(
        api,
        JsonCalls(api),
        registry=CollectorRegistry(),
        ready=lambda: Readiness([], {}),
        page_rules=rules,
        socket=StatusSocket(lambda _: "{}", rules),
        version="1",
        max_request_bytes=MAX_REQUEST_BYTES,
    )
    server = HttpServer(face, "127.0.0.1", 0)
    port = await server.start()
    assert (await ask(port, "GET", "/metrics"))[0] == 401
    assert (await ask(port, "GET", "/metrics", "user-token"))[0] == 401
    assert (await ask(port, "GET", "/metrics", "scraper"))[0] == 200
    await server.stop(0.05)
