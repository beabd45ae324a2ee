"""Autoscaling with real processes: gateways, workers, a broker and Prometheus, in shortened time.

What the chart renders is what scrapes, asks and decides; only KEDA and Kubernetes are stand-ins.
The first cases go on at the same time, each in a pool of its own.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from sie_sdk import SIEClient
from sie_sdk.types import Item
from tests import hub_server
from tests.asking import HttpReply, ask
from tests.autoscaling.cluster import ScaledCluster
from tests.autoscaling.models import COLD, GOLDEN, LEFT, LONE, MODEL, RIGHT, definitions
from tests.charts.rendering import tool

FACTOR = 30.0
NODE_DELAY_S = 60.0
COOLDOWN_S = 200.0
# For how long the chart's queries take a gateway that is not scraped for one that is there.
BRIDGED_S = 120.0

Case = Callable[[ScaledCluster], None]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScaledCluster]:
    for name in ("helm", "prometheus"):
        tool(name)
    directory = tmp_path_factory.mktemp("autoscaling")
    values = yaml.safe_load(Path(__file__).with_name("values.yaml").read_text())
    with hub_server.running(hub_server.files_of(GOLDEN)) as hub:
        # A load that outlasts the cooldown.
        hub.delay_s["model.safetensors"] = 1.3 * COOLDOWN_S / FACTOR
        values["workers"]["common"]["hub"] = {"endpoint": hub.url}
        models = definitions(directory / "models")
        with ScaledCluster(
            directory, values, models, directory / "engines", FACTOR, NODE_DELAY_S
        ) as cluster:
            yield cluster


def encode(
    cluster: ScaledCluster, model: str = MODEL, texts: int = 1, timeout_s: float = 60.0, **headers
) -> HttpReply:
    """Without a client's patience: one answer, whatever it is. `profile` or `pool` may be named."""
    named = {"profile": "x-sie-machine-profile", "pool": "x-sie-pool"}
    sent = {named[name]: value for name, value in headers.items()}
    items = [{"text": f"text {number}"} for number in range(texts)]
    # What is written for each text would cost more than the texts do.
    body = {"items": items, "params": {"output_dtype": "binary"}}
    sent["x-request-timeout"] = str(timeout_s)
    return ask(cluster.address(), "POST", f"/v1/encode/{model}", body, sent, timeout_s + 10)


def patient(cluster: ScaledCluster, model: str = MODEL, gpu: str | None = None) -> None:
    """As a client does that waits for capacity."""
    with SIEClient(f"http://{cluster.address()}") as client:
        result = client.encode(
            model,
            Item(text="hello"),
            gpu=gpu,
            wait_for_capacity=True,
            # Cold starts are shortened, but what the machine itself does is not.
            provision_timeout_s=60 + cluster.real(420),
        )
    assert result["dense"].shape == (32,)


def wait_for_none(cluster: ScaledCluster, *pools: str) -> None:
    """Until the pools have neither replicas nor pods, which the cooldown puts off."""
    found = [cluster.pools[name] for name in pools]
    cluster.until(lambda: not any(pool.replicas for pool in found))
    assert min(pool.idle_s() for pool in found) > 0.99 * cluster.real(COOLDOWN_S)
    cluster.until(lambda: not any(pool.pods.running() for pool in found))


@contextlib.contextmanager
def light_traffic(cluster: ScaledCluster, profile: str) -> Iterator[list[HttpReply]]:
    """A request now and then, so that nothing ever waits; yields their replies."""
    stop = threading.Event()
    replies: list[HttpReply] = []

    def client() -> None:
        while not stop.wait(cluster.real(20)):
            replies.append(encode(cluster, profile=profile))

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(client)
        try:
            yield replies
        finally:
            stop.set()
            future.result()


def a_client_that_waits_is_served_from_zero_and_zero_comes_back(cluster: ScaledCluster) -> None:
    pool = cluster.pools["zero"]
    refused = encode(cluster, profile="zero")
    assert (refused.status, refused.json()["status"]) == (202, "provisioning")
    patient(cluster, gpu="zero")
    wait_for_none(cluster, "zero")
    assert pool.counts() == {0, 1}
    assert pool.last("pending-demand") == 0


def a_client_that_names_no_machine_gets_one_that_can_serve_it(cluster: ScaledCluster) -> None:
    patient(cluster, LONE)
    wait_for_none(cluster, "solo")
    assert cluster.pools["solo"].counts() == {0, 1}


def bundles_of_one_machine_profile_scale_apart(cluster: ScaledCluster) -> None:
    left, right = cluster.pools["duo-left"], cluster.pools["duo-right"]
    patient(cluster, LEFT, "duo")
    assert right.counts() == {0}
    # The one that is there is no answer to who needs the other.
    assert encode(cluster, RIGHT, profile="duo").status == 202
    assert encode(cluster, LEFT, profile="duo").status == 200
    patient(cluster, RIGHT, "duo")
    wait_for_none(cluster, "duo-left", "duo-right")
    assert left.counts() == right.counts() == {0, 1}


def a_pool_grows_under_load_shrinks_after_and_stays_for_a_little(cluster: ScaledCluster) -> None:
    pool = cluster.pools["growing"]
    patient(cluster, gpu="growing")
    stop, seen = threading.Event(), set()

    def client() -> None:
        while not stop.is_set():
            reply = encode(cluster, texts=400, profile="growing")
            assert reply.status == 200, reply.body
            seen.update(reply.headers["x-sie-worker"].split(","))

    with ThreadPoolExecutor(3) as threads:
        load = [threads.submit(client) for _ in range(3)]
        try:
            cluster.until(lambda: len(seen) == 3)
        finally:
            stop.set()
        for each in load:
            each.result()
    assert pool.replicas == 3
    with light_traffic(cluster, "growing") as replies:
        cluster.until(lambda: pool.replicas == 1)
        shrunk_at = time.monotonic()
        time.sleep(cluster.real(1.3 * COOLDOWN_S))
    assert pool.counts(shrunk_at) == {1}
    assert {reply.status for reply in replies} == {200}
    wait_for_none(cluster, "growing")


def a_leased_pool_is_warm_for_as_long_as_its_lease(cluster: ScaledCluster) -> None:
    pool = cluster.pools["leased"]
    # It ends five quarters of its term after the last renewal.
    ttl = round(cluster.real(400))
    spec = {"name": "tenant", "gpus": {"leased": 2}, "ttl_seconds": ttl}
    assert ask(cluster.address(), "POST", "/v1/pools", spec).status == 201
    path = "/v1/pools/tenant"

    def renewed() -> str:
        assert ask(cluster.address(), "POST", f"{path}/renew").status == 200
        return ask(cluster.address(), "GET", path).json()["status"]["state"]

    cluster.until(lambda: renewed() == "active")
    active_at = time.monotonic()
    assert encode(cluster, pool="tenant", profile="leased").status == 200
    # Others of the same machines are not served by them, and are told to wait.
    assert encode(cluster, profile="leased").status == 202
    cluster.until(lambda: renewed() == "active" and pool.replicas == 3)
    cluster.until(lambda: ask(cluster.address(), "GET", path).status == 404)
    assert time.monotonic() - active_at > cluster.real(COOLDOWN_S)
    # Nothing was asked of them meanwhile, and none of them went.
    assert min(pool.counts(active_at)) >= 2
    wait_for_none(cluster, "leased")


def work_outlives_the_loss_of_its_machine(cluster: ScaledCluster) -> None:
    pool = cluster.pools["spot"]
    patient(cluster, gpu="spot")
    served_at = time.monotonic()
    with ThreadPoolExecutor(4) as threads:
        work = [
            threads.submit(encode, cluster, texts=3000, profile="spot", timeout_s=90)
            for _ in range(4)
        ]
        (lost,) = pool.pods.running()
        cluster.until(lambda: pool.last("queue-depth") > 0)
        lost.kill()
        assert not all(each.done() for each in work)
        replies = [each.result() for each in work]
    assert {reply.status for reply in replies} == {200}
    assert all(len(reply.json()["items"]) == 3000 for reply in replies)
    (replacement,) = pool.pods.running()
    assert replacement is not lost
    assert pool.counts(served_at) == {1}
    wait_for_none(cluster, "spot")


def a_load_may_outlast_the_cooldown(cluster: ScaledCluster) -> None:
    pool = cluster.pools["cold"]
    assert encode(cluster, COLD, profile="cold").status == 202
    cluster.until(lambda: len(pool.pods.ready()) == 1)
    began = time.monotonic()
    (worker,) = pool.pods.running()

    def has_begun() -> bool:
        encode(cluster, COLD, profile="cold", timeout_s=0.5)
        return state_of(cluster, COLD) == "loading"

    cluster.until(has_begun)
    # Nobody asks any more; only the load itself keeps the worker.
    cluster.until(lambda: state_of(cluster, COLD) == "loaded")
    assert time.monotonic() - began > cluster.real(COOLDOWN_S)
    assert encode(cluster, COLD, profile="cold").status == 200
    assert pool.counts(began) == {1}
    assert pool.pods.running() == [worker]
    wait_for_none(cluster, "cold")


def state_of(cluster: ScaledCluster, model: str) -> str:
    return ask(cluster.address(), "GET", f"/v1/models/{model}").json()["state"]


SIDE_BY_SIDE: list[Case] = [
    a_client_that_waits_is_served_from_zero_and_zero_comes_back,
    a_client_that_names_no_machine_gets_one_that_can_serve_it,
    bundles_of_one_machine_profile_scale_apart,
    a_pool_grows_under_load_shrinks_after_and_stays_for_a_little,
    a_leased_pool_is_warm_for_as_long_as_its_lease,
    work_outlives_the_loss_of_its_machine,
    a_load_may_outlast_the_cooldown,
]


@pytest.fixture(scope="module")
def outcomes(cluster: ScaledCluster) -> Iterator[dict[Case, Future[None]]]:
    with ThreadPoolExecutor(len(SIDE_BY_SIDE)) as threads:
        yield {case: threads.submit(case, cluster) for case in SIDE_BY_SIDE}


@pytest.mark.parametrize("case", SIDE_BY_SIDE, ids=lambda case: case.__name__)
def test_case(case: Case, outcomes: dict[Case, Future[None]]) -> None:
    outcomes[case].result()


def test_who_waits_is_served_although_all_gateways_forget(
    cluster: ScaledCluster, outcomes: dict[Case, Future[None]]
) -> None:
    for each in outcomes.values():
        each.exception()
    pool, began = cluster.pools["zero"], time.monotonic()
    with ThreadPoolExecutor(1) as threads:
        waits = threads.submit(patient, cluster, gpu="zero")
        cluster.until(lambda: pool.last("pending-demand") == 1)
        away_s = cluster.restart_gateways()
        waits.result()
    served_at = time.monotonic()
    away_s = max(away_s, cluster.restart_gateways())
    cluster.until(lambda: encode(cluster, profile="zero").status == 200, 30)
    idle_s = time.monotonic() - served_at
    # What was warm is still so, and that nobody could be scraped meanwhile brought nobody.
    if away_s < 0.8 * cluster.real(BRIDGED_S) and idle_s < 0.8 * cluster.real(COOLDOWN_S):
        assert pool.counts(served_at) == {1}
        assert cluster.pools["absent"].counts(began) == {0}


def test_without_prometheus_nobody_goes_and_the_fallback_comes(
    cluster: ScaledCluster, outcomes: dict[Case, Future[None]]
) -> None:
    for each in outcomes.values():
        each.exception()
    used, absent = cluster.pools["zero"], cluster.pools["absent"]
    patient(cluster, gpu="zero")
    with light_traffic(cluster, "zero") as replies:
        before = time.monotonic()
        cluster.prometheus.process.kill()
        cluster.until(lambda: len(absent.pods.running()) == 2)
        time.sleep(cluster.real(1.2 * COOLDOWN_S))
        cluster.prometheus.start()
        cluster.until(lambda: absent.replicas == 0)
        assert used.counts(before) == {1}
    assert {reply.status for reply in replies} == {200}
