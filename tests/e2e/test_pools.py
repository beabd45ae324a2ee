"""Pools with real processes: what is leased is reserved, survives deaths, and is given back."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner
from grpc_status import rpc_status

from cli.__main__ import main
from cli.local_stack import DEFAULT_MODEL, LocalStack
from cli.managed_process import stop_all
from servicekit.errors import code_of, from_status
from sie.inference.v1.inference_service_pb2 import EncodeRequest
from sie.inference.v1.inference_service_pb2_grpc import InferenceServiceStub
from tests import broker
from tests.asking import ENCODE, HttpReply, ask
from tests.chaos.load import Load
from tests.chaos.verdicts import Verdict
from tests.waiting import until

ALWAYS = ("broker", "config", "gateway-1", "worker-1")
PROFILES = ("cpu", "l4", "a100-spot")
# What the clients of the field send with every management call that has no body.
MSGPACK = {"content-type": "application/msgpack", "accept": "application/json"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, engine_cache: Path) -> Iterator[LocalStack]:
    directory = tmp_path_factory.mktemp("pools")
    profiles = directory / "machine_profiles"
    profiles.mkdir()
    for name in PROFILES:
        (profiles / f"{name}.yaml").write_text(json.dumps({"machine_profile_id": name}))
    env = {"SIE_MACHINE_PROFILES_DIR": str(profiles), "SIE_DEDICATED_POOLS": "fixed"}
    with LocalStack(directory / "stack", cache_dir=engine_cache, env=env) as stack:
        stack.start()
        yield stack


@pytest.fixture
def pool_stack(cluster: LocalStack) -> Iterator[LocalStack]:
    """The cluster, with one worker and no pools. What a test starts and makes goes after it."""
    yield cluster
    added = [each for name, each in cluster.processes.items() if name not in ALWAYS]
    stop_all(added, 60)
    address = cluster.http_address
    for each in ask(address, "GET", "/v1/pools").json()["pools"]:
        if (name := each["spec"]["name"]) != "default":
            ask(address, "DELETE", f"/v1/pools/{name}")
    until(lambda: served_by(address) == "worker-1")


def second_gateway(stack: LocalStack) -> str:
    gateway = stack.start_gateway("gateway-2")
    gateway.wait_ready(60)
    return f"127.0.0.1:{gateway.env['SIE_HTTP_PORT']}"


def encode(
    address: str, pool: str = "", profile: str = "", path: str = ENCODE, timeout_s: int = 10
) -> HttpReply:
    headers = {"x-sie-pool": pool, "x-sie-machine-profile": profile}
    headers = {name: value for name, value in headers.items() if value}
    headers["x-request-timeout"] = str(timeout_s)
    return ask(address, "POST", path, {"items": [{"text": "hello"}]}, headers, timeout_s + 30)


def served_by(address: str, pool: str = "", profile: str = "") -> str:
    reply = encode(address, pool, profile)
    return reply.headers["x-sie-worker"] if reply.status == 200 else str(reply.status)


def pool(address: str, name: str = "tenant-abc") -> HttpReply:
    return ask(address, "GET", f"/v1/pools/{name}", headers=MSGPACK)


def create(address: str, name: str = "tenant-abc", **spec: object) -> HttpReply:
    body = {"name": name, "gpus": {"l4": 1}, **spec}
    return ask(address, "POST", "/v1/pools", body, {"content-type": "application/json"})


def metric(address: str, name: str) -> float:
    lines = ask(address, "GET", "/metrics").body.decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def start_l4(stack: LocalStack, name: str, **env: str) -> None:
    stack.start_worker(name, SIE_MACHINE_PROFILE="l4", **env).wait_ready(60)


def test_a_pool_from_creation_to_its_end(pool_stack: LocalStack):
    first, second = pool_stack.http_address, second_gateway(pool_stack)
    created = create(first)
    assert (created.status, created.json()["status"]["state"]) == (201, "pending")
    # At once, at the other gateway, without a worker: wanted, and on its way.
    reply = encode(second, profile="tenant-abc/l4")
    assert (reply.status, reply.headers["retry-after"]) == (202, "120")
    body = reply.json()
    shown = (body["status"], body["gpu"], body["bundle"], body["estimated_wait_s"])
    assert shown == ("provisioning", "l4", "default", 180)
    assert body["error"]["code"] == reply.headers["x-sie-error-code"] == "PROVISIONING"
    lease = 'sie_gateway_active_lease_gpus{bundle="default",machine_profile="l4"}'
    demand = 'sie_gateway_pending_demand{bundle="default",machine_profile="l4"}'
    assert (metric(first, lease), metric(second, lease), metric(second, demand)) == (1, 1, 1)
    # Clients of OpenAI know no 202.
    body = {"model": DEFAULT_MODEL, "input": "hello"}
    waits = ask(second, "POST", "/v1/embeddings", body, {"x-sie-machine-profile": "tenant-abc/l4"})
    assert (waits.status, waits.headers["retry-after"]) == (503, "120")
    status = ask(second, "GET", "/health").json()
    wanted = [(lane["pool"], lane["gpu"]) for lane in status["lanes"] if lane["in_demand"]]
    assert wanted == [("tenant-abc", "l4")]
    states = {each["spec"]["name"]: each["status"]["state"] for each in status["pools"]}
    assert states == {"default": "active", "tenant-abc": "pending"}

    # It brings no model: the pool's own lane has it loaded.
    start_l4(pool_stack, "worker-2", SIE_PRELOAD_MODELS="")
    for address in (first, second):
        until(lambda at=address: served_by(at, "tenant-abc") == "worker-2")
        assert served_by(address, profile="tenant-abc/l4") == "worker-2"
        assert pool(address).json()["status"]["state"] == "active"
        # Nobody else reaches it, whether they name its kind or not.
        assert served_by(address) == "worker-1"
        assert served_by(address, profile="l4") == "202"
    # The pool's own was met; `default` wants one beside it.
    assert metric(second, demand) == 2
    assert pool(first).json() == pool(second).json()

    start_l4(pool_stack, "worker-3")
    until(lambda: served_by(second, profile="l4") == "worker-3")
    assert metric(second, demand) == 0
    pool_stack.processes["worker-2"].kill()
    until(lambda: served_by(first, "tenant-abc") == "worker-3")
    assert pool(second).json()["status"]["assigned_workers"] == [{"name": "worker-3", "gpu": "l4"}]
    assert served_by(first, profile="l4") == "202"

    assert ask(second, "DELETE", "/v1/pools/tenant-abc", headers=MSGPACK).status == 200
    assert pool(second).status == 404
    until(lambda: pool(first).status == 404)
    until(lambda: served_by(first, profile="l4") == "worker-3")
    gone = encode(second, "tenant-abc")
    assert (gone.status, gone.json()["detail"]["code"]) == (404, "POOL_NOT_FOUND")
    assert metric(first, lease) == 0


def test_requests_that_wait_when_their_pool_is_deleted_are_answered(pool_stack: LocalStack):
    address = pool_stack.http_address
    start_l4(pool_stack, "worker-2")
    create(address)
    until(lambda: served_by(address, "tenant-abc") == "worker-2")
    pool_stack.processes["worker-2"].kill()
    with ThreadPoolExecutor(4) as threads:
        # Published before anybody can know that the worker is gone.
        waiting = [threads.submit(encode, address, "tenant-abc", timeout_s=120) for _ in range(4)]
        time.sleep(0.5)
        assert not any(each.done() for each in waiting)
        started = time.monotonic()
        assert ask(address, "DELETE", "/v1/pools/tenant-abc").status == 200
        replies = [each.result() for each in waiting]
    assert {(reply.status, reply.json()["error"]["code"]) for reply in replies} == {
        (404, "POOL_NOT_FOUND")
    }
    assert time.monotonic() - started < 60


def test_a_lease_is_renewed_without_a_body_and_expires_without_renewal(pool_stack: LocalStack):
    address = pool_stack.http_address
    create(address, ttl_seconds=3)
    # It ends five quarters of its term after the last renewal.
    begun = time.monotonic()
    while time.monotonic() - begun < 4.5:
        renewed = ask(address, "POST", "/v1/pools/tenant-abc/renew", b"", MSGPACK)
        assert renewed.status == 200
        time.sleep(0.2)
    assert pool(address).status == 200
    until(lambda: pool(address).status == 404)
    expired = ask(address, "POST", "/v1/pools/tenant-abc/renew", b"", MSGPACK)
    assert (expired.status, expired.json()["detail"]["code"]) == (404, "POOL_NOT_FOUND")


def test_pools_survive_their_config_service_and_serve_without_it(pool_stack: LocalStack):
    address = pool_stack.http_address
    start_l4(pool_stack, "worker-2")
    create(address)
    until(lambda: served_by(address, "tenant-abc") == "worker-2")
    before = pool(address).json()
    config = pool_stack.processes["config"]
    config.kill()
    config.wait(60)
    assert served_by(address, "tenant-abc") == "worker-2"
    assert create(address, "other").json()["detail"]["code"] == "REGISTRY_UNAVAILABLE"
    assert pool(address).json() == before
    config.start()
    config.wait_ready(60)
    until(lambda: create(address, "other").status == 201)
    time.sleep(2)
    assert pool(address).json() == before
    assert served_by(address, "tenant-abc") == "worker-2"


def test_a_dedicated_worker_serves_its_pool_and_no_other(pool_stack: LocalStack):
    address = pool_stack.http_address
    start_l4(pool_stack, "worker-2", SIE_POOL="fixed")
    until(lambda: served_by(address, "fixed") == "worker-2")
    assert served_by(address, profile="l4") == "202"
    create(address)
    assert served_by(address, "tenant-abc") == "202"


def test_a_worker_alone_makes_no_pool(pool_stack: LocalStack):
    address = pool_stack.http_address
    start_l4(pool_stack, "worker-2", SIE_POOL="forged", SIE_PRELOAD_MODELS="")
    until(lambda: len(ask(address, "GET", "/health").json()["workers"]) == 2)
    reply = encode(address, "forged")
    assert (reply.status, reply.json()["error"]["code"]) == (404, "POOL_NOT_FOUND")
    # What was said to have a queue has one, also while nobody is there.
    assert served_by(address, "fixed", "l4") == "202"


def test_what_can_never_be_served_is_refused_with_a_code(pool_stack: LocalStack):
    address = pool_stack.http_address
    unknown = encode(address, profile="h100")
    body = unknown.json()
    assert (unknown.status, body["error"]["code"]) == (503, "GPU_NOT_CONFIGURED")
    assert "retry-after" not in unknown.headers
    assert (body["status"], body["gpu"]) == ("gpu_not_configured", "h100")
    assert body["configured_gpu_types"] == sorted(PROFILES)
    assert body["message"] == "GPU type 'h100' is not configured in this cluster."
    spot = encode(address, profile="A100").json()
    assert (spot["status"], spot["gpu"]) == ("provisioning", "a100-spot")
    rejected = 'sie_gateway_rejected_requests_total{bundle="default",machine_profile="default"'
    assert metric(address, rejected + ',reason="gpu_not_configured"}') == 1
    provisioning = 'sie_gateway_provisioning_responses_total{machine_profile="a100-spot"}'
    assert metric(address, provisioning) == 1
    assert encode(address, "nobody").status == 404
    model = ENCODE.removeprefix("/v1/encode/")
    assert encode(address, path=f"/v1/encode/default:/{model}").status == 200
    other = encode(address, path=f"/v1/encode/sglang:/{model}").json()
    assert other["error"]["code"] == "BUNDLE_INCOMPATIBLE"
    for spec in ({"name": "Default"}, {"name": "default"}, {"gpus": {}}, {"gpus": {"h100": 1}}):
        refused = create(address, **{"name": "tenant", **spec})
        assert (refused.status, refused.json()["detail"]["code"]) == (400, "INVALID_INPUT")
    protected = ask(address, "DELETE", "/v1/pools/default", headers=MSGPACK)
    assert (protected.status, protected.json()["detail"]["code"]) == (403, "PERMISSION_DENIED")
    assert ask(address, "DELETE", "/v1/pools/nobody", headers=MSGPACK).status == 404


def test_over_grpc_a_cold_lane_is_unavailable_with_a_time_to_retry(pool_stack: LocalStack):
    with grpc.insecure_channel(pool_stack.grpc_address) as channel:
        request = EncodeRequest(model=ENCODE.removeprefix("/v1/encode/"))
        request.items.add(text="hello")
        for profile, code, reason, retry in (
            ("l4", grpc.StatusCode.UNAVAILABLE, "PROVISIONING", 120.0),
            ("h100", grpc.StatusCode.FAILED_PRECONDITION, "GPU_NOT_CONFIGURED", None),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                InferenceServiceStub(channel).Encode(
                    request, metadata=[("x-sie-machine-profile", profile)], timeout=10
                )
            error = from_status(rpc_status.from_call(caught.value))
            assert caught.value.code() is code
            assert (code_of(error.reason), error.retry_after_s) == (reason, retry)


def test_workers_come_and_go_between_pools_under_load_and_nothing_is_lost(pool_stack: LocalStack):
    address = pool_stack.http_address
    pool_stack.start_worker("worker-2").wait_ready(60)
    with Load([address], seed=1, rest_s=0.05) as load:
        for _ in range(3):
            seen = load.sent
            assert create(address, gpus={"cpu": 1}).status == 201
            until(lambda: served_by(address, "tenant-abc").startswith("worker-"))
            until(lambda seen=seen: load.sent > seen + 20)
            assert ask(address, "DELETE", "/v1/pools/tenant-abc").status == 200
    assert load.counts.keys() == {Verdict.RIGHT}, load.notes


def test_a_broker_that_loses_its_memory_loses_no_pool(pool_stack: LocalStack):
    address = pool_stack.http_address
    start_l4(pool_stack, "worker-2")
    create(address)
    until(lambda: served_by(address, "tenant-abc") == "worker-2")
    broker.stop(pool_stack)
    pool_stack.start_broker()
    until(lambda: served_by(address, "tenant-abc") == "worker-2")
    assert served_by(address) == "worker-1"
    assert pool(address).json()["status"]["reason"] == "1 of 1 workers"


def test_the_command_line_leases_shows_renews_and_gives_back(pool_stack: LocalStack):
    def sie(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(
            main, ["pools", "--address", pool_stack.grpc_address, *arguments]
        )
        assert result.exit_code == code, result.output
        return result.output

    assert "tenant-abc  default  l4=2    pending" in sie("create", "tenant-abc", "l4=2")
    assert sie("show", "tenant-abc").splitlines()[1].split()[0] == "tenant-abc"
    assert "tenant-abc" in sie("renew", "tenant-abc")
    listed = [line.split()[0] for line in sie().splitlines()]
    assert listed == ["POOL", "default", "tenant-abc"]
    assert sie("delete", "tenant-abc") == "tenant-abc is deleted\n"
    assert "[POOL_NOT_FOUND]" in sie("delete", "tenant-abc", code=1)
    assert "PROFILE=COUNT is expected" in sie("create", "tenant-abc", "l4", code=2)


def test_a_token_that_is_bound_to_a_pool_uses_no_other(pool_stack: LocalStack, tmp_path: Path):
    tokens = tmp_path / "tokens.yaml"
    bound = [{"token": name, "tenant": name, "pools": [name]} for name in ("acme", "other")]
    tokens.write_text(json.dumps({"tokens": bound}))
    env = {"SIE_AUTH_MODE": "static", "SIE_AUTH_FILE": str(tokens)}
    gateway = pool_stack.start_gateway("gateway-2", **env)
    gateway.wait_ready(60)
    address = f"127.0.0.1:{gateway.env['SIE_HTTP_PORT']}"

    def call(token: str, method: str, path: str, body: object = None, pool: str = "") -> HttpReply:
        headers = {"authorization": f"Bearer {token}", "x-sie-pool": pool}
        return ask(address, method, path, body, headers)

    spec = {"name": "acme", "gpus": {"cpu": 1}}
    assert call("other", "POST", "/v1/pools", spec).status == 403
    assert call("acme", "POST", "/v1/pools", spec).status == 201
    work = {"items": [{"text": "hello"}]}
    until(lambda: call("acme", "POST", ENCODE, work, "acme").status == 200)
    for path, body in ((ENCODE, work), ("/v1/pools/acme/renew", None)):
        refused = call("other", "POST", path, body, "acme")
        assert (refused.status, refused.json()["detail"]["code"]) == (403, "PERMISSION_DENIED")
    assert call("other", "GET", "/v1/pools/acme").status == 403
    assert call("other", "DELETE", "/v1/pools/acme").status == 403
    assert call("other", "GET", "/v1/pools").json()["pools"] == []
    assert [each["spec"]["name"] for each in call("acme", "GET", "/v1/pools").json()["pools"]] == [
        "acme"
    ]
    assert call("acme", "DELETE", "/v1/pools/acme").status == 200
