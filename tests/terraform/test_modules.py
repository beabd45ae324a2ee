"""Terraform: format, and that names fit together, as far as no Terraform is needed for it."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

hcl2 = pytest.importorskip("hcl2", reason="`make tools` installs what reads Terraform")

ROOT = Path(__file__).resolve().parents[2] / "terraform"
MODULE = ROOT / "gke"
EXAMPLE = ROOT / "examples" / "dev-l4-spot"
_FOLDERS = [MODULE, EXAMPLE]
_REFERENCE = re.compile(
    r"\b(var|local|module|google_[a-z_]+)\.([a-z_][a-z0-9_]*)(?:\[[^\]]*\])*(?:\.([a-z_]+))?"
)


def _parse(folder: Path) -> dict[str, list[Any]]:
    """Blocks of a folder's files by type."""
    blocks: dict[str, list[Any]] = {}
    for file in sorted(folder.glob("*.tf")):
        for kind, entries in hcl2.loads(file.read_text()).items():
            if isinstance(entries, list):
                blocks.setdefault(kind, []).extend(entries)
    return blocks


def _named(folder: Path, kind: str) -> dict[str, Any]:
    blocks = _parse(folder).get(kind, [])
    return {name.strip('"'): body for each in blocks for name, body in each.items()}


def _code(folder: Path) -> str:
    text = "\n".join(file.read_text() for file in sorted(folder.glob("*.tf")))
    return re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)


def test_format() -> None:
    terraform = shutil.which("terraform") or shutil.which("tofu")
    if terraform is None:
        pytest.skip("neither terraform nor tofu is installed")
    command = [terraform, "fmt", "-check", "-recursive", "-diff", str(ROOT)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("folder", _FOLDERS, ids=lambda folder: folder.name)
def test_what_is_referred_to_is_there(folder: Path) -> None:
    blocks = _parse(folder)
    resources = {
        f"{kind.strip(chr(34))}.{name.strip(chr(34))}"
        for each in blocks.get("resource", [])
        for kind, body in each.items()
        for name in body
    }
    local_values = {name for each in blocks.get("locals", []) for name in each}
    known = {"var": set(_named(folder, "variable")), "local": local_values}
    known["module"] = set(_named(folder, "module"))
    for kind, name, _ in _REFERENCE.findall(_code(folder)):
        if kind in known:
            assert name in known[kind], f"{kind}.{name}"
        else:
            assert f"{kind}.{name}" in resources, f"{kind}.{name}"


@pytest.mark.parametrize("folder", _FOLDERS, ids=lambda folder: folder.name)
def test_every_variable_is_described_and_used(folder: Path) -> None:
    variables = _named(folder, "variable")
    used = {name for kind, name, _ in _REFERENCE.findall(_code(folder)) if kind == "var"}
    assert used == set(variables)
    for name, body in variables.items():
        assert body["description"], name
        assert body["type"], name
    for name, body in _named(folder, "output").items():
        assert body["description"], name


def test_variables_that_users_know_are_there() -> None:
    variables = _named(MODULE, "variable")
    assert "default" not in variables["project_id"]
    assert variables["region"]["default"].strip('"') == "us-central1"
    assert variables["cluster_name"]["default"].strip('"') == "sie-dev"
    assert variables["create_artifact_registry"]["default"] is True
    assert variables["deployer_service_account"]["default"].strip('"') == ""
    assert set(variables) - {"project_id"} == {
        name for name, body in variables.items() if "default" in body
    }
    assert {
        *("region", "network", "subnetwork", "create_network", "subnet_cidr", "pods_cidr"),
        *("services_cidr", "kubernetes_version", "release_channel", "enable_private_nodes"),
        *("master_ipv4_cidr_block", "authorized_networks", "enable_private_endpoint"),
        *("allow_public_api_server", "deletion_protection", "enable_node_auto_provisioning"),
        *("nap_min_cpu", "nap_max_cpu", "nap_min_memory_gb", "nap_max_memory_gb"),
        *("gpu_node_pools", "cpu_node_pool", "kubelet_container_log_max_size"),
        *("kubelet_container_log_max_files", "enable_workload_identity"),
        *("sie_service_account_name", "sie_namespace", "gcs_bucket_name", "create_model_cache"),
        *("model_cache_location", "model_cache_storage_class", "model_cache_versioning_enabled"),
        *("model_cache_kms_key_name", "model_cache_payload_expiration_days", "labels"),
        *("artifact_registry_location", "enable_managed_prometheus", "enable_cloud_logging"),
    } <= set(variables)
    required = {"name", "machine_type", "gpu_type", "gpu_count", "min_node_count", "max_node_count"}
    assert required | {"spot"} <= variables["gpu_node_pools"]["default"][0].keys()


def test_outputs_that_users_know_are_there() -> None:
    # But no `kubernetes_token`, which would lie in the state.
    assert set(_named(MODULE, "output")) >= {
        *("cluster_endpoint", "cluster_ca_certificate", "cluster_name", "cluster_id"),
        *("cluster_location", "project_id", "region", "gpu_node_pool_disk_sizes_gb"),
        *("gke_nodes_service_account", "sie_workload_service_account", "network_name"),
        *("subnetwork_name", "model_cache_bucket_name", "model_cache_bucket_url"),
        *("payload_store_url", "model_cache_helm_args", "artifact_registry_url"),
        *("artifact_registry_server_repository_url", "artifact_registry_gateway_repository_url"),
        *("artifact_registry_config_repository_url", "cpu_node_pool_name"),
        *("gpu_node_pool_names", "gpu_node_pools", "kubectl_command"),
        *("workload_identity_annotation", "kubernetes_host"),
    }


def test_the_example_gives_the_module_what_it_takes() -> None:
    (call,) = _named(EXAMPLE, "module").values()
    given = {key for key in call if not key.startswith("__")} - {"source"}
    assert (EXAMPLE / call["source"].strip('"')).resolve() == MODULE
    assert given <= set(_named(MODULE, "variable"))
    outputs = set(_named(MODULE, "output"))
    read = {last for kind, _, last in _REFERENCE.findall(_code(EXAMPLE)) if kind == "module"}
    assert read <= outputs
    # `$(terraform output -raw kubectl_command)`, and the account for the chart.
    assert {"kubectl_command", "workload_identity_annotation"} <= set(_named(EXAMPLE, "output"))


def test_pools_begin_at_zero_and_spot_by_default() -> None:
    for folder in _FOLDERS:
        (pool,) = _named(folder, "variable")["gpu_node_pools"]["default"]
        assert pool["min_node_count"] == 0
        assert pool["spot"] is True
