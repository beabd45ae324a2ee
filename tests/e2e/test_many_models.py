"""Many models on one worker: they take turns, and one that fails is no trouble to another."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from cli.local_stack import LocalStack
from sie.registry.v1.model_pb2 import Model
from sie.registry.v1.registry_admin_service_pb2 import ApplyModelRequest, DeleteModelRequest
from sie.registry.v1.registry_admin_service_pb2_grpc import RegistryAdminServiceStub
from tests import broker, hub_server
from tests.asking import ask
from tests.waiting import until

GOLDEN = Path(__file__).parents[1] / "golden"
TOLERANCE = 1e-4
# More than either model's weights, less than those of both.
TIGHT_BYTES = "500000"


def define(models: Path, name: str, directory: Path, **more: object) -> None:
    """Writes a definition; JSON is YAML."""
    definition = {
        "model_id": name,
        "sources": [{"directory": str(directory)}],
        "tasks": {"encode": {"dense": {"dims": 48}}},
        **more,
    }
    models.mkdir(exist_ok=True)
    (models / f"{name}.yaml").write_text(json.dumps(definition))


class Golden:
    """What the original implementation answers."""

    def __init__(self, name: str) -> None:
        self.texts = json.loads((GOLDEN / name / "inputs.json").read_bytes())["texts"]
        self.vectors = np.load(GOLDEN / name / "reference.npz")["embeddings"]


def encode(stack: LocalStack, model: str, text: str, timeout_s: float = 30.0):
    body = {"items": [{"text": text}]}
    headers = {"x-request-timeout": str(timeout_s)}
    return ask(stack.http_address, "POST", f"/v1/encode/{model}", body, headers)


def check(stack: LocalStack, model: str, golden: Golden, turn: int) -> None:
    index = 1 + turn % (len(golden.texts) - 1)
    reply = encode(stack, model, golden.texts[index])
    assert reply.status == 200, reply.body
    values = reply.json()["items"][0]["dense"]["values"]
    np.testing.assert_allclose(values, golden.vectors[index], atol=TOLERANCE)


def metric(stack: LocalStack, name: str) -> float:
    worker = stack.processes["worker-1"]
    address = f"127.0.0.1:{worker.env['SIE_WORKER_HTTP_PORT']}"
    lines = ask(address, "GET", "/metrics").body.decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


@pytest.fixture
def models(tmp_path: Path) -> Path:
    models = tmp_path / "models"
    define(models, "bert", GOLDEN / "bert_mean")
    define(models, "distilbert", GOLDEN / "distilbert")
    return models


@pytest.fixture
def small_stack(tmp_path: Path, models: Path, engine_cache: Path) -> Iterator[LocalStack]:
    env = {"SIE_MODELS_DIR": str(models), "SIE_PRELOAD_MODELS": ""}
    with LocalStack(tmp_path / "stack", cache_dir=engine_cache, env=env) as stack:
        yield stack


def test_two_models_that_do_not_fit_together_take_turns(small_stack: LocalStack):
    stay_s = 2.0
    small_stack._env |= {"SIE_MEMORY_BYTES": TIGHT_BYTES, "SIE_MIN_RESIDENCE_S": str(stay_s)}
    small_stack.start()
    goldens = {"bert": Golden("bert_mean"), "distilbert": Golden("distilbert")}
    started, turn, evictions = time.monotonic(), 0, 0.0
    while evictions < 3:
        assert time.monotonic() - started < 120
        for name, golden in goldens.items():
            check(small_stack, name, golden, turn)
        turn += 1
        evictions = metric(small_stack, "sie_worker_model_evictions_total")
    # The first to go may have been there before anybody looked at the clock.
    assert time.monotonic() - started > (evictions - 1) * stay_s


def test_a_broken_model_is_refused_at_once_and_another_serves(
    small_stack: LocalStack, models: Path, tmp_path: Path
):
    broken = Path(shutil.copytree(GOLDEN / "bert_cls", tmp_path / "broken"))
    (broken / "model.safetensors").write_bytes(b"\xff" * 1000)
    define(models, "broken", broken)
    define(models, "nowhere", tmp_path / "nowhere")
    small_stack.start()
    golden = Golden("bert_mean")
    check(small_stack, "bert", golden, 0)
    for name, error_class in (("broken", "CHECKPOINT"), ("nowhere", "NOT_FOUND")):
        for _ in range(2):
            reply = encode(small_stack, name, "text")
            error = reply.json()["error"]
            assert (reply.status, error["code"]) == (502, "MODEL_LOAD_FAILED")
            assert error["metadata"]["error_class"] == error_class
            assert error["metadata"]["permanent"] == "true"
        check(small_stack, "bert", golden, 1)
    # Nothing is tried again.
    failures = metric(small_stack, "sie_worker_model_load_failures_total")
    encode(small_stack, "broken", "text")
    assert metric(small_stack, "sie_worker_model_load_failures_total") == failures == 2
    found = ask(small_stack.http_address, "GET", "/v1/models").json()["models"]
    states = {model["name"]: model["state"] for model in found}
    assert states["broken"] == "failed"
    assert states["bert"] == "loaded"
    told = next(model["last_error"] for model in found if model["name"] == "broken")
    assert "broken" in told["message"]


def test_a_model_comes_from_the_hub_or_its_failure_tells(
    small_stack: LocalStack, models: Path, tmp_path: Path
):
    source = {"repo": hub_server.REPO, "revision": hub_server.COMMIT}
    with hub_server.running(hub_server.files_of(GOLDEN / "bert_mean")) as hub:
        for name, repo in (("remote", source), ("absent", source | {"repo": "org/absent"})):
            define(models, name, Path(), sources=[{"hugging_face": repo}])
        hub.token = "secret"
        small_stack._env |= {"HF_ENDPOINT": hub.url, "HF_TOKEN": "secret"}
        # What it fetches nobody else should find.
        small_stack.cache_dir = tmp_path / "cache"
        small_stack.start()
        check(small_stack, "remote", Golden("bert_mean"), 0)
        error = encode(small_stack, "absent", "text").json()["error"]
        assert error["metadata"]["error_class"] == "NOT_FOUND"
        hub.token = "another"
        small_stack.start_worker("worker-2").wait_ready(60)
        worker = small_stack.processes["worker-1"]
        worker.terminate()
        worker.wait(60)
        # What was fetched serves the next worker, whoever may read it now.
        until(lambda: encode(small_stack, "remote", "text").status == 200)


def test_a_worker_ends_well_while_it_preloads_and_while_the_broker_is_away(
    small_stack: LocalStack, models: Path, tmp_path: Path
):
    source = {"repo": hub_server.REPO, "revision": hub_server.COMMIT}
    define(models, "remote", Path(), sources=[{"hugging_face": source}])
    with hub_server.running(hub_server.files_of(GOLDEN / "bert_mean")) as hub:
        hub.delay_s["model.safetensors"] = 1.0
        small_stack.start_broker()
        small_stack.start_config()
        small_stack._env |= {"HF_ENDPOINT": hub.url, "SIE_PRELOAD_MODELS": "remote"}
        preloading = small_stack.start_worker("worker-1", SIE_CACHE_DIR=str(tmp_path / "cache"))
        until(lambda: hub.asked("model.safetensors"))
        preloading.terminate()
        assert preloading.wait(60) == 0
    small_stack._env |= {"SIE_PRELOAD_MODELS": "bert"}
    ready = small_stack.start_worker("worker-2")
    ready.wait_ready(60)
    broker.stop(small_stack)
    ready.terminate()
    assert ready.wait(60) == 0
    assert "Traceback" not in preloading.log_path.read_text() + ready.log_path.read_text()


def test_a_definition_that_changes_or_goes_is_followed(
    small_stack: LocalStack, models: Path, tmp_path: Path
):
    define(models, "changing", tmp_path / "nowhere")
    small_stack.start()
    assert encode(small_stack, "changing", "text").status == 502
    with grpc.insecure_channel(small_stack.config_address) as channel:
        admin = RegistryAdminServiceStub(channel)
        model = Model(model_id="changing")
        model.sources.add(directory=str(GOLDEN / "bert_mean"))
        model.tasks.encode.dense.dims = 48
        admin.ApplyModel(ApplyModelRequest(model=model))
        until(lambda: encode(small_stack, "changing", "text").status == 200)
        check(small_stack, "changing", Golden("bert_mean"), 3)
        model.sources[0].directory = str(GOLDEN / "distilbert")
        admin.ApplyModel(ApplyModelRequest(model=model))
        golden = Golden("distilbert")

        def answers_anew() -> bool:
            reply = encode(small_stack, "changing", golden.texts[2])
            vector = reply.json()["items"][0]["dense"]["values"]
            return bool(np.allclose(vector, golden.vectors[2], atol=TOLERANCE))

        until(answers_anew)
        admin.DeleteModel(DeleteModelRequest(model_id="changing"))
        until(lambda: encode(small_stack, "changing", "text").status == 404)
        until(lambda: metric(small_stack, "sie_worker_model_memory_bytes") == 0)
