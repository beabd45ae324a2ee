"""Commands and values that users know from the guides work with the flags as they know them."""

import functools
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.charts.rendering import ROOT, Object, environment, of_kind, pod_specs, render, tool
from tests.docs.blocks import named_blocks
from tests.docs.running import Place

_REFERENCE = ROOT / "tests" / "docs" / "reference"
GKE = named_blocks(_REFERENCE / "gke.md")
SCALING = named_blocks(_REFERENCE / "scale_from_zero.md")
_ANNOTATION = "iam.gke.io/gcp-service-account"
_ACCOUNT = "sie@my-project.iam.gserviceaccount.com"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    tool("helm")
    return Place(tmp_path)


def _objects(printed: str) -> list[Object]:
    return [each for each in yaml.load_all(printed, yaml.CSafeLoader) if each]


@functools.cache
def _terraform(folder: Path, *arguments: str) -> str:
    command = ["terraform", f"-chdir={folder}", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_first_installation(place: Place) -> None:
    tool("terraform")
    # What the module would say of an account, without a cloud to make it in.
    output = {"output": {"workload_identity_annotation": {"value": f"{_ANNOTATION}={_ACCOUNT}"}}}
    (place.folder / "outputs.tf.json").write_text(json.dumps(output))
    _terraform(place.folder, "apply", "-auto-approve", "-input=false")
    place.env["HF_TOKEN"] = "hf_token"
    objects = _objects(place.shell(GKE["install"].text))
    account = of_kind(objects, "ServiceAccount")["sie-server"]
    assert account["metadata"]["annotations"] == {_ANNOTATION: _ACCOUNT}
    assert of_kind(objects, "StatefulSet")["sie-sie-cluster-worker-l4"]["spec"]["replicas"] == 1
    secret = of_kind(objects, "Secret")["sie-sie-cluster-hf-token"]
    assert secret["stringData"] == {"HF_TOKEN": "hf_token"}
    # `kubectl port-forward svc/sie-sie-cluster-gateway 8080:8080`
    service = of_kind(objects, "Service")["sie-sie-cluster-gateway"]
    assert service["spec"]["ports"][0]["port"] == 8080
    # `kubectl logs -l app.kubernetes.io/component=gateway`
    pod = of_kind(objects, "Deployment")["sie-sie-cluster-gateway"]["spec"]["template"]
    assert pod["metadata"]["labels"]["app.kubernetes.io/component"] == "gateway"


def test_the_terraform_module_takes_what_is_given(tmp_path: Path) -> None:
    tool("terraform")
    variables = tmp_path / "variables"
    variables.mkdir()
    for file in (ROOT / "terraform" / "gke").glob("variables*.tf"):
        shutil.copy(file, variables)
    call = re.sub(r'source .*\n.*version .*"\n', 'source = "./variables"\n', GKE["module"].text)
    (tmp_path / "main.tf").write_text(call)
    _terraform(tmp_path, "init", "-input=false")
    planned = _terraform(tmp_path, "plan", "-input=false", "-no-color")
    assert "No changes" in planned


def test_with_autoscaling_and_observability(place: Place, released: Path) -> None:
    place.env["SIE_CHART"] = str(released)
    objects = _objects(place.shell(GKE["install-with-everything"].text))
    assert "sie-sie-cluster-l4-default" in of_kind(objects, "ScaledObject")
    assert "sie-sie-cluster-gateway" in of_kind(objects, "ServiceMonitor"), "or KEDA sees nothing"
    names = of_kind(objects, "ConfigMap")
    assert {"stand-in-keda", "stand-in-dcgm-exporter"} <= names.keys()


def test_custom_values(place: Place) -> None:
    (place.folder / "custom-values.yaml").write_text(GKE["custom-values"].text)
    command = GKE["upgrade"].text.rstrip()
    assert _objects(place.shell(command))
    objects = _objects(place.shell(f"{command} -f custom-values.yaml"))
    worker = pod_specs(objects)["sie-sie-cluster-worker-l4"]
    assert environment(worker["containers"][0])["SIE_CLUSTER_CACHE"] == "gs://my-bucket/models"
    cache = next(each for each in worker["volumes"] if each["name"] == "cache")
    assert cache["emptyDir"]["sizeLimit"] == "100Gi"
    scaled = of_kind(objects, "ScaledObject")["sie-sie-cluster-l4-default"]["spec"]
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (1, 20)
    assert scaled["cooldownPeriod"] == 300
    assert "sie-sie-cluster-oauth2-proxy" in of_kind(objects, "Deployment")
    assert (
        of_kind(objects, "Ingress")["sie-sie-cluster"]["spec"]["tls"][0]["secretName"] == "sie-tls"
    )


@pytest.mark.parametrize("autoscaling", [GKE["autoscaling-values"], SCALING["autoscaling-values"]])
def test_values_of_gateway_pools_and_autoscaling(autoscaling) -> None:
    parts = (GKE["gateway-values"], GKE["worker-values"], autoscaling)
    objects = render("", values="".join(part.text for part in parts))
    resources = pod_specs(objects)["sie-sie-cluster-gateway"]["containers"][0]["resources"]
    assert resources["limits"] == {"cpu": "2", "memory": "2Gi"}
    scaled = of_kind(objects, "ScaledObject")["sie-sie-cluster-l4-default"]["spec"]
    assert scaled["minReplicaCount"] == 0
    assert scaled["fallback"]["replicas"] == 2


def test_static_tokens(place: Place) -> None:
    objects = _objects(place.shell(GKE["static-tokens"].text))
    variables = environment(pod_specs(objects)["sie-sie-cluster-gateway"]["containers"][0])
    assert variables["SIE_AUTH_MODE"] == "static"
    assert "'name': 'sie-auth-tokens'" in variables["SIE_AUTH_TOKEN"]
    assert "'key': 'SIE_AUTH_TOKEN'" in variables["SIE_AUTH_TOKEN"]


def test_every_command_of_the_guides_is_run_here_or_against_a_cluster() -> None:
    """A block that is added to the guides' copies is not forgotten."""
    calls = (ROOT / "tests/e2e/test_documented_calls.py").read_text()
    read = Path(__file__).read_text() + calls
    for book, blocks in {"GKE": GKE, "SCALING": SCALING}.items():
        for name in blocks:
            assert f'{book}["{name}"]' in read, name
