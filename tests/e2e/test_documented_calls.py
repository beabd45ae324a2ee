"""Calls that users of the field know work as written: from no worker at all to leased ones."""

import base64
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from cli.local_stack import LocalStack
from cli.ports import free_port
from tests.asking import ask
from tests.charts.rendering import tool
from tests.docs.blocks import named_blocks
from tests.docs.running import Place
from tests.e2e.golden_models import GOLDEN
from tests.waiting import until

_REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
GKE = named_blocks(_REFERENCE / "gke.md")
SCALING = named_blocks(_REFERENCE / "scale_from_zero.md")
_PROFILES = ("l4", "l4-spot", "a100-40gb", "a100-80gb")
# The documents' models, each as a small checkpoint of the same architecture.
_MODELS = {
    "BAAI/bge-m3": ("bge_m3", "default"),
    "intfloat/e5-mistral-7b-instruct": ("e5_mistral", "default"),
    "Alibaba-NLP/gte-Qwen2-7B-instruct": ("qwen2_embedding", "sglang"),
}


def _definitions(folder: Path) -> dict[str, str]:
    """Writes what the documents' cluster knows; returns the settings that name it."""
    models = [
        {
            "model_id": name,
            "sources": [{"directory": str(GOLDEN / checkpoint)}],
            "inputs": ["text"],
            "tasks": {"encode": {"dense": {"dims": 48}}},
            "bundles": [bundle],
        }
        for name, (checkpoint, bundle) in _MODELS.items()
    ]
    kinds = {
        "models": models,
        "bundles": [{"bundle_id": name, "priority": 100} for name in ("default", "sglang")],
        "machine_profiles": [{"machine_profile_id": name} for name in _PROFILES],
    }
    settings = {}
    for kind, definitions in kinds.items():
        (folder / kind).mkdir()
        for number, each in enumerate(definitions):
            (folder / kind / f"{number}.yaml").write_text(yaml.safe_dump(each))
        settings[f"SIE_{kind.upper()}_DIR"] = str(folder / kind)
    return settings


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, engine_cache) -> Iterator[LocalStack]:
    """A gateway and its machine profiles; no worker."""
    folder = tmp_path_factory.mktemp("documented")
    env = {**_definitions(folder), "SIE_DEFAULT_MODEL": "BAAI/bge-m3"}
    with LocalStack(folder / "stack", cache_dir=engine_cache, env=env) as stack:
        stack.start(workers=0)
        yield stack


@pytest.fixture(scope="module")
def place(cluster: LocalStack) -> Iterator[Place]:
    with Place(cluster.directory, cluster.http_address, cluster.grpc_address) as place:
        yield place


@pytest.fixture(scope="module")
def warm(cluster: LocalStack, place: Place) -> dict[str, Any]:
    """Workers of every kind, which came after a snippet had begun to wait for one; its names."""
    names: dict[str, Any] = {}
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(place.python, SCALING["sdk-cold"].text, names)
        until(lambda: names.get("client") is not None)
        assert not waiting.done()
        lanes = {
            "l4-1": ("l4", "default"),
            "l4-2": ("l4", "default"),
            "a100": ("a100-40gb", "default"),
            "large": ("a100-80gb", "sglang"),
        }
        for name, (profile, bundle) in lanes.items():
            cluster.start_worker(
                name, SIE_MACHINE_PROFILE=profile, SIE_BUNDLE=bundle, SIE_PRELOAD_MODELS=""
            )
        for name in lanes:
            cluster.processes[name].wait_ready(60)
        waiting.result(60)
    return names


def _reply(printed: str) -> tuple[int, dict[str, str], Any]:
    """Status, headers and body of what curl has printed, headers included."""
    head, _, body = printed.replace("\r\n", "\n").partition("\n\n")
    first, *lines = head.splitlines()
    headers = dict(re.split(r": *", line.lower(), maxsplit=1) for line in lines)
    return int(first.split()[1]), headers, json.loads(body)


def _dims(printed: str) -> int:
    status, _, body = _reply(printed)
    assert status == 200, body
    (item,) = body["items"]
    return len(item["dense"]["values"])


def test_without_a_worker_the_answer_is_202_and_when_to_come_back(place: Place) -> None:
    status, headers, body = _reply(place.shell(SCALING["curl-cold"].text))
    assert (status, headers["retry-after"], body["status"]) == (202, "120", "provisioning")


def test_a_profile_that_nobody_knows_is_503(place: Place) -> None:
    status, _, body = _reply(place.shell(SCALING["curl-unknown-profile"].text))
    assert status == 503
    shown = {key: body[key] for key in ("status", "gpu", "configured_gpu_types", "message")}
    assert shown == {
        "status": "gpu_not_configured",
        "gpu": "h100",
        "configured_gpu_types": sorted(_PROFILES),
        "message": "GPU type 'h100' is not configured in this cluster.",
    }


def test_the_client_waits_for_the_first_worker(warm: dict[str, Any]) -> None:
    assert warm["result"]["dense"].shape == (48,)


def test_another_bundle_and_the_default_route(warm: dict[str, Any], place: Place) -> None:
    place.python(SCALING["sdk-two-bundles"].text, warm)
    place.python(SCALING["sdk-default-route"].text, warm)


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("block", [GKE["curl-profile"], SCALING["curl-known-profile"]])
def test_curl_with_a_profile(place: Place, block) -> None:
    assert _dims(place.shell(block.text)) == 48


@pytest.mark.usefixtures("warm")
def test_the_client_with_profiles(place: Place) -> None:
    names: dict[str, Any] = {}
    place.python(GKE["sdk-profiles"].text, names)
    assert np.linalg.norm(names["result"]["dense"]) == pytest.approx(1, abs=1e-3)


@pytest.mark.usefixtures("warm")
def test_a_pool_by_the_client(place: Place) -> None:
    names: dict[str, Any] = {}
    printed = place.python(GKE["sdk-pool"].text, names)
    assert printed == "Pool tenant-abc: active\n"
    assert names["client"].get_pool("tenant-abc") is None


@pytest.mark.usefixtures("warm")
def test_a_pool_by_its_header(cluster: LocalStack, place: Place) -> None:
    spec = {"name": "tenant-abc", "gpus": {"l4": 1}}
    assert ask(cluster.http_address, "POST", "/v1/pools", spec).status == 201
    until(lambda: _reply(place.shell(GKE["curl-pool"].text))[0] == 200)
    _, headers, _ = _reply(place.shell(GKE["curl-pool"].text))
    pool = ask(cluster.http_address, "GET", "/v1/pools/tenant-abc").json()
    (worker,) = pool["status"]["assigned_workers"]
    assert headers["x-sie-worker"] == worker["name"]
    assert ask(cluster.http_address, "DELETE", "/v1/pools/tenant-abc").status == 200


@pytest.mark.usefixtures("warm")
def test_the_smoke_test(place: Place) -> None:
    assert place.shell(GKE["smoke-test"].text) == "(48,)\n"


def test_tokens_of_the_secret_open_the_gateway(cluster: LocalStack, place: Place) -> None:
    tool("kubectl")
    secret = yaml.safe_load(place.shell(GKE["token-secret"].text))
    tokens = secret.get("stringData") or secret["data"]
    (variable,) = tokens
    assert variable == "SIE_AUTH_TOKEN"
    port = str(free_port())
    gateway = cluster.start_gateway(
        "static", SIE_HTTP_PORT=port, SIE_AUTH_MODE="static", **_decoded(secret)
    )
    gateway.wait_ready(60)
    address = f"127.0.0.1:{port}"
    for token, status in {"key1": 200, "key3": 200, "key4": 401}.items():
        headers = {"authorization": f"Bearer {token}"}
        assert ask(address, "GET", "/v1/models", headers=headers).status == status
    assert ask(address, "GET", "/v1/models").status == 401


def _decoded(secret: dict[str, Any]) -> dict[str, str]:
    return {name: base64.b64decode(text).decode() for name, text in secret["data"].items()}
