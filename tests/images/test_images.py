"""Images: what their build does is done here, without containers."""

import ast
import dataclasses
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

import config_service.settings
import gateway.settings
import worker.settings
from cli.broker import MAX_PAYLOAD_BYTES
from servicekit.settings import from_environment
from tests.charts.rendering import CHART, tool

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
_PACKAGES = {
    "gateway": "gateway",
    "config": "config_service",
    "worker-cpu": "worker",
    "worker-cuda12": "worker",
}
# Engines that an image may be without, and TensorRT, which is installed from elsewhere.
_OPTIONAL = {"openvino", "tensorrt", "cuda"}
# The config service has no part in a request, and so no traces.
_UNUSED = {"config": {"opentelemetry"}}
# Named by another distribution that an image has.
_SAME = {"onnxruntime": "onnxruntime-gpu"}


def _requirements(image: str) -> set[str]:
    text = (ROOT / "requirements" / "images" / f"{image}.txt").read_text()
    return set(re.findall(r"^([a-z0-9][a-z0-9._-]*)==", text, re.MULTILINE))


def _imports(package: str) -> set[str]:
    found = set()
    for file in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names)


@pytest.mark.parametrize("image", _PACKAGES)
def test_an_image_has_what_its_service_imports(image: str) -> None:
    ours = {"gateway", "config_service", "worker", "servicekit", "sie", "cli"}
    carriers = packages_distributions()
    has = _requirements(image)
    imported = _imports(_PACKAGES[image]) | _imports("servicekit")
    for module in imported - ours - _OPTIONAL - _UNUSED.get(image, set()):
        names = {name.lower().replace("_", "-") for name in carriers.get(module, [module])}
        assert {*names, *(_SAME.get(name, name) for name in names)} & has, module


@pytest.mark.parametrize("image", _PACKAGES)
def test_images_agree_with_what_was_tested(image: str) -> None:
    lock = (ROOT / "requirements" / "lock.txt").read_text()
    tested = dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^ ;\\]+)", lock, re.MULTILINE))
    text = (ROOT / "requirements" / "images" / f"{image}.txt").read_text()
    for name, version in re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^ ;\\]+)", text, re.MULTILINE):
        if name in tested and name != "numpy":
            assert version == tested[name], name


def test_the_dockerfile_is_linted() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint is missing; `make tools` gets it")
    command = [hadolint, "--failure-threshold", "style", ROOT / "docker" / "Dockerfile"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def _stages() -> dict[str, str]:
    parts = re.split(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, flags=re.MULTILINE)[1:]
    return {name: f"FROM {base}{body}" for base, name, body in zip(*[iter(parts)] * 3, strict=True)}


@pytest.mark.parametrize("image", _PACKAGES)
def test_an_image_runs_its_service_and_not_as_root(image: str) -> None:
    stages = _stages()
    stage = stages[image]
    assert f'ENTRYPOINT ["python", "-P", "-m", "{_PACKAGES[image]}"]' in stage
    base = stage.split()[1]
    assert "USER 10001:10001" in stage + stages.get(base, "")
    assert "requirements" not in stage, "what builds stays behind"


def test_nothing_that_is_copied_is_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    kept = [line[1:] for line in ignored if line.startswith("!")]
    for line in DOCKERFILE.splitlines():
        if not line.startswith("COPY ") or "--from" in line:
            continue
        for source in line.split()[1:-1]:
            assert list(ROOT.glob(source)), source
            assert any(Path(source).match(each) or source.startswith(each) for each in kept), source


def test_bases_are_pinned() -> None:
    for base in re.findall(r"^ARG \w+_IMAGE=(\S+)$", DOCKERFILE, re.MULTILINE):
        assert re.search(r":\S*\d+\.\d+\.\d+", base), base


def test_services_of_the_compose_file_get_settings_that_they_read() -> None:
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
    settings = {
        "gateway": gateway.settings.Settings,
        "config": config_service.settings.Settings,
        "worker": worker.settings.Settings,
    }
    for name, service in compose["services"].items():
        assert service["read_only"] is True
        if name not in settings:
            continue
        known = {field.metadata["variable"] for field in dataclasses.fields(settings[name])}
        assert service["environment"].keys() <= known
        from_environment(settings[name], service["environment"])
        assert service["build"]["target"] in _stages()
    assert compose["services"]["gateway"]["ports"] == ["127.0.0.1:8080:8080", "127.0.0.1:9090:9090"]
    broker = compose["configs"]["nats"]["content"]
    assert f"max_payload: {MAX_PAYLOAD_BYTES // 2**20}MB" in broker


def test_the_compose_file_is_one(tmp_path: Path) -> None:
    reader = tool("compose-go")
    file = ROOT / "docker" / "compose.yaml"
    read = subprocess.run(
        [reader, file], cwd=file.parent, check=False, capture_output=True, text=True
    )
    assert read.returncode == 0, read.stderr
    services = yaml.safe_load(read.stdout)["services"]
    assert services.keys() == {"nats", "config", "worker", "gateway"}
    assert services["gateway"]["build"]["context"] == str(ROOT)
    broken = tmp_path / "compose.yaml"
    broken.write_text(file.read_text().replace("read_only: true", "readonly: true"))
    refused = subprocess.run([reader, broken], check=False, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "readonly" in refused.stderr + refused.stdout


def test_the_chart_and_the_compose_file_run_the_same_broker() -> None:
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert compose["services"]["nats"]["image"] == values["nats"]["image"]


def test_models_are_where_the_chart_looks_for_them() -> None:
    assert "WORKDIR /opt/sie" in _stages()["runtime"]
    assert "COPY models models" in _stages()["config"]
    deployment = (CHART / "templates" / "config" / "deployment.yaml").read_text()
    assert "/opt/sie/models" in deployment
