"""What Terraform itself says of the module, by a provider that knows Google's arguments.

It makes nothing (tests/terraform/provider), and values that Google refuses are not refused here.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts.rendering import CHART, tool

ROOT = Path(__file__).resolve().parents[2] / "terraform"
_EXAMPLE = "examples/dev-l4-spot"
_NETWORK = {"cidr_block": "198.51.100.0/24", "display_name": "office"}
_POOL = {"gpu_count": 1, "min_node_count": 0, "max_node_count": 3}
_POOLS = [
    {
        **_POOL,
        "name": "parted",
        "machine_type": "a2-highgpu-1g",
        "gpu_type": "nvidia-tesla-a100",
        "gpu_partition_size": "1g.5gb",
        "local_ssd_count": 1,
        "spot": True,
        "zones": ["us-central1-a"],
        "taints": [{"key": "team", "value": "a", "effect": "NO_SCHEDULE"}],
    },
    {
        **_POOL,
        "name": "shared",
        "machine_type": "g2-standard-8",
        "gpu_type": "nvidia-l4",
        "time_sharing_clients": 4,
    },
]
_EVERYTHING = {
    "authorized_networks": [_NETWORK],
    "gpu_node_pools": _POOLS,
    "enable_node_auto_provisioning": True,
    "enable_managed_prometheus": True,
    "model_cache_kms_key_name": "projects/p/locations/l/keyRings/r/cryptoKeys/k",
    "deployer_service_account": "ci@p.iam.gserviceaccount.com",
}


class Terraform:
    """Runs it in a copy of the project's folders."""

    def __init__(self, folder: Path) -> None:
        tool("terraform")
        provider = Path(tool("terraform-provider-google"))
        self.modules = shutil.copytree(ROOT, folder / "terraform")
        self._settings = folder / "settings.tfrc"
        self._settings.write_text(
            "provider_installation {\n  dev_overrides {\n"
            f'    "hashicorp/google" = "{provider.parent}"\n  }}\n}}\n'
        )
        self.run(_EXAMPLE, "get")

    def run(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["terraform", f"-chdir={self.modules / module}", *arguments, "-no-color"]
        env = {**os.environ, "TF_CLI_CONFIG_FILE": str(self._settings)}
        return subprocess.run(command, env=env, check=False, capture_output=True, text=True)

    def plan(self, module: str, **variables: Any) -> dict[str, Any]:
        """Planned values of resources by address."""
        done = self._plan(module, variables)
        assert done.returncode == 0, done.stdout + done.stderr
        shown = json.loads(self.run(module, "show", "-json", "planned").stdout)
        return {
            each["address"].removeprefix("module.sie_gke."): each["change"]["after"]
            for each in shown["resource_changes"]
        }

    def refused(self, module: str, **variables: Any) -> str:
        """What it says, in one line, instead of a plan."""
        done = self._plan(module, variables)
        assert done.returncode != 0
        return " ".join(re.sub("[│╷╵]", " ", done.stderr).split())

    def _plan(self, module: str, variables: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        values = self.modules / module / "given.tfvars.json"
        values.write_text(json.dumps({"project_id": "p"} | variables))
        flags = ("-input=false", "-out=planned", f"-var-file={values}")
        return self.run(module, "plan", *flags)


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    return Terraform(tmp_path_factory.mktemp("terraform"))


@pytest.mark.parametrize("module", ["gke", _EXAMPLE])
def test_modules_are_valid(terraform: Terraform, module: str) -> None:
    done = terraform.run(module, "validate")
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_argument_that_google_does_not_know_is_noticed(tmp_path: Path) -> None:
    terraform = Terraform(tmp_path)
    file = terraform.modules / "gke" / "cluster.tf"
    file.write_text(file.read_text().replace("deletion_protection =", "deletion_protected ="))
    done = terraform.run("gke", "validate")
    assert done.returncode != 0
    assert 'An argument named "deletion_protected" is not expected here' in done.stderr


def test_the_example_makes_a_private_cluster_whose_gpus_begin_at_zero(
    terraform: Terraform,
) -> None:
    planned = terraform.plan(_EXAMPLE)
    cluster = planned["google_container_cluster.this"]
    assert cluster["private_cluster_config"][0]["enable_private_nodes"] is True
    assert cluster["workload_identity_config"][0]["workload_pool"] == "p.svc.id.goog"
    pool = planned['google_container_node_pool.gpu["l4-spot"]']
    node = pool["node_config"][0]
    assert pool["autoscaling"][0]["total_min_node_count"] == 0
    assert (node["spot"], node["machine_type"]) == (True, "g2-standard-8")
    assert node["gcfs_config"] == [{"enabled": True}], "images are streamed"
    bucket = planned["google_storage_bucket.models[0]"]
    assert bucket["public_access_prevention"] == "enforced"
    assert "google_artifact_registry_repository.images[0]" in planned


def test_pools_may_part_or_share_their_gpus(terraform: Terraform) -> None:
    planned = terraform.plan("gke", **_EVERYTHING)
    nodes = {
        name: planned[f'google_container_node_pool.gpu["{name}"]']["node_config"][0]
        for name in ("parted", "shared")
    }
    assert nodes["parted"]["guest_accelerator"][0]["gpu_partition_size"] == "1g.5gb"
    assert {each["key"] for each in nodes["parted"]["taint"]} == {"nvidia.com/gpu", "team"}
    sharing = nodes["shared"]["guest_accelerator"][0]["gpu_sharing_config"][0]
    assert sharing["max_shared_clients_per_gpu"] == 4


def test_what_is_left_out_is_not_made(terraform: Terraform) -> None:
    planned = terraform.plan(
        "gke",
        authorized_networks=[_NETWORK],
        create_network=False,
        create_model_cache=False,
        create_artifact_registry=False,
        enable_workload_identity=False,
    )
    kinds = {address.partition(".")[0] for address in planned}
    assert not kinds & {
        "google_compute_network",
        "google_compute_router_nat",
        "google_storage_bucket",
        "google_artifact_registry_repository",
        "google_service_account_iam_member",
    }
    assert not planned["google_container_cluster.this"]["workload_identity_config"]


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({}, "The control plane would be open to everybody"),
        (
            {"gpu_node_pools": [_POOLS[1] | {"min_node_count": 4}]},
            "min_node_count is above its max_node_count",
        ),
        ({"gpu_node_pools": [_POOLS[1], _POOLS[1]]}, "Two pools have the same name"),
    ],
)
def test_refused_with_a_sentence(
    terraform: Terraform, variables: dict[str, Any], sentence: str
) -> None:
    assert sentence in terraform.refused("gke", **variables)


def test_workers_of_the_chart_are_whom_the_module_trusts(terraform: Terraform) -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    planned = terraform.plan("gke", **_EVERYTHING)
    (member,) = [
        each["member"]
        for address, each in planned.items()
        if address.startswith("google_service_account_iam_member.workers")
    ]
    assert member.endswith(f"[sie/{values['serviceAccount']['name']}]")
