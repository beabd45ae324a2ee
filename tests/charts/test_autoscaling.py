"""ScaledObjects, and that nothing else decides how many there are."""

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.charts.rendering import ROOT, Object, of_kind, render, tool

_SERIES = 'job="sie-sie-cluster-gateway",namespace="sie"'


def _triggers(scaled: Object) -> dict[str, Object]:
    return {each["name"]: each["metadata"] for each in scaled["spec"]["triggers"]}


def test_each_pool_has_one_and_no_other_count() -> None:
    objects = render("gke")
    scaled = of_kind(objects, "ScaledObject")
    targets = {each["spec"]["scaleTargetRef"]["name"]: name for name, each in scaled.items()}
    sets = of_kind(objects, "StatefulSet", "Deployment")
    assert targets.keys() == sets.keys() - {"sie-sie-cluster-config", "sie-sie-cluster-nats"}
    for name in targets:
        assert "replicas" not in sets[name]["spec"], name
    assert scaled.keys() >= {
        f"sie-sie-cluster-{lane}" for lane in ("l4-default", "l4-spot-default", "a100-80gb-default")
    }


def test_without_autoscaling_pools_have_their_least() -> None:
    objects = render("gke", "autoscaling.enabled=false")
    assert not of_kind(objects, "ScaledObject")
    sets = of_kind(objects, "StatefulSet")
    counts = {name: each["spec"]["replicas"] for name, each in sets.items()}
    assert counts["sie-sie-cluster-worker-l4"] == 1
    assert counts["sie-sie-cluster-worker-l4-spot"] == 0


def test_the_gateway_is_scaled_by_one_thing_at_most() -> None:
    for sets, expected in {
        (): "ScaledObject",
        ("gateway.autoscaling.mode=cpu",): "HorizontalPodAutoscaler",
        ("gateway.autoscaling.mode=none",): "",
    }.items():
        objects = render("gke", *sets)
        found = [
            kind
            for kind in ("ScaledObject", "HorizontalPodAutoscaler")
            if "sie-sie-cluster-gateway" in of_kind(objects, kind)
        ]
        assert found == ([expected] if expected else [])
        has_count = "replicas" in of_kind(objects, "Deployment")["sie-sie-cluster-gateway"]["spec"]
        assert has_count == (not expected)


def test_the_triggers_of_a_pool() -> None:
    scaled = of_kind(render("gke"), "ScaledObject")["sie-sie-cluster-l4-spot-default"]
    triggers = _triggers(scaled)
    thresholds = {
        name: (each["threshold"], each["activationThreshold"]) for name, each in triggers.items()
    }
    assert thresholds == {
        "pending-demand": ("1", "0"),
        "queue-depth": ("10", "2"),
        "leased-gpus": ("1", "0"),
        "recent-use": ("1", "0"),
        "rejected-requests": ("1", "0"),
    }
    for each in triggers.values():
        assert f'{{{_SERIES},machine_profile="l4-spot",bundle="default"' in each["query"]
        assert each["ignoreNullValues"] == "false"
        assert each["serverAddress"] == "http://prometheus-operated.monitoring.svc:9090"


def test_who_names_no_machine_is_given_one_that_has_a_pool() -> None:
    def machine(bundle: str, *sets: str) -> str:
        files = of_kind(render("gke", *sets), "ConfigMap")["sie-sie-cluster-definitions"]["data"]
        definition = yaml.safe_load(files[f"bundles__{bundle}.yaml"])
        return str(definition.get("machine_profile"))

    # The one that is always there, or else the first by name.
    assert machine("default") == "l4"
    assert machine("default", "workers.pools.l4.minReplicas=0") == "a100-80gb"
    assert machine("large", "workers.pools.l4-spot.bundle=large") == "l4-spot"
    assert machine("default", "config.bundles.default.machine_profile=l4-spot") == "l4-spot"
    assert machine("spare", "config.bundles.spare.priority=7") == "None"


def test_timing_is_as_values_say() -> None:
    spec = of_kind(render("gke"), "ScaledObject")["sie-sie-cluster-l4-default"]["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (1, 20)
    assert (spec["pollingInterval"], spec["cooldownPeriod"]) == (15, 900)
    assert spec["fallback"] == {
        "failureThreshold": 3,
        "replicas": 2,
        "behavior": "currentReplicasIfHigher",
    }
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 300


def test_a_pool_says_what_becomes_of_it_without_prometheus() -> None:
    scaled = of_kind(render("gke"), "ScaledObject")
    assert scaled["sie-sie-cluster-a100-80gb-default"]["spec"]["fallback"]["replicas"] == 0


def test_prometheus_of_the_same_release_is_asked_there(released: Path) -> None:
    objects = render(
        "gke",
        "kube-prometheus-stack.install=true",
        "autoscaling.prometheusAddress=",
        chart=released,
    )
    scaled = of_kind(objects, "ScaledObject")["sie-sie-cluster-gateway"]
    address = _triggers(scaled)["requests"]["serverAddress"]
    assert address == "http://prometheus-operated.sie.svc:9090"
    monitor = of_kind(objects, "ServiceMonitor")["sie-sie-cluster-gateway"]
    assert monitor["metadata"]["labels"]["release"] == "sie"


def test_keda_of_the_same_release_gets_its_objects_after_its_kinds(released: Path) -> None:
    sets = ("keda.install=true",)
    first = of_kind(render("gke", *sets, chart=released), "ScaledObject")
    later = render("gke", *sets, chart=released, flags=("--api-versions", "keda.sh/v1alpha1"))
    for each in first.values():
        annotations = each["metadata"]["annotations"]
        assert annotations["helm.sh/hook"] == "post-install,post-upgrade"
        # What Helm wants to see before it takes an object over.
        assert annotations["meta.helm.sh/release-name"] == "sie"
        assert annotations["meta.helm.sh/release-namespace"] == "sie"
        assert each["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"
    for each in of_kind(later, "ScaledObject").values():
        assert "annotations" not in each["metadata"]


def test_charts_of_others_are_off_until_they_are_wanted(released: Path) -> None:
    names = of_kind(render("gke", chart=released), "ConfigMap")
    assert not [name for name in names if name.startswith("stand-in")]
    with_loki = of_kind(render("gke", "loki.install=true", chart=released), "ConfigMap")
    assert "stand-in-loki" in with_loki


def _three_way(old: Any, new: Any, live: Any) -> Any:
    """What an upgrade makes of a live object: changes of the manifest, nothing else."""
    if not all(isinstance(each, dict) for each in (new, live)):
        return new
    old = old if isinstance(old, dict) else {}
    merged = {key: value for key, value in live.items() if key in new or key not in old}
    for key, value in new.items():
        merged[key] = _three_way(old.get(key), value, live[key]) if key in live else value
    return merged


def test_an_upgrade_leaves_scaled_replicas_alone() -> None:
    before = of_kind(render("gke"), "StatefulSet", "Deployment")
    after = of_kind(
        render(
            "gke",
            "workers.common.image.tag=2.0",
            "gateway.image.tag=2.0",
            "workers.pools.l4.minReplicas=2",
        ),
        "StatefulSet",
        "Deployment",
    )
    for name in ("sie-sie-cluster-worker-l4", "sie-sie-cluster-gateway"):
        live = {**before[name], "spec": {**before[name]["spec"], "replicas": 7}}
        upgraded = _three_way(before[name], after[name], live)
        assert upgraded["spec"]["replicas"] == 7
        image = upgraded["spec"]["template"]["spec"]["containers"][0]["image"]
        assert image.split(":")[1].startswith("2.0")


def test_selectors_survive_an_upgrade() -> None:
    before = of_kind(render("gke"), "StatefulSet", "Deployment")
    after = of_kind(
        render("gke", "workers.common.image.tag=2.0", "workers.pools.l4.bundle=large"),
        "StatefulSet",
        "Deployment",
    )
    for name, owner in before.items():
        assert owner["spec"]["selector"] == after[name]["spec"]["selector"], "it cannot be changed"


def test_queries_mean_what_they_should(tmp_path: Path) -> None:
    scaled = of_kind(render("gke"), "ScaledObject")["sie-sie-cluster-l4-default"]
    rules = [
        {"record": name.replace("-", "_"), "expr": each["query"]}
        for name, each in _triggers(scaled).items()
    ]
    groups = {"groups": [{"name": "queries", "rules": rules}]}
    (tmp_path / "queries.yaml").write_text(json.dumps(groups))
    lane = f'{_SERIES},machine_profile="l4",bundle="%s"'
    text = (ROOT / "tests/charts/promtool/scaling.yaml").read_text().replace("SERIES", _SERIES)
    text = text.replace("LANE", lane % "default").replace("OTHER", lane % "large")
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(yaml.safe_load(text)))
    done = subprocess.run(
        [tool("promtool"), "test", "rules", str(tmp_path / "tests.yaml")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
