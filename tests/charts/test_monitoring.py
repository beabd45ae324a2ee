"""Alerts, recordings and dashboards: they parse, and every metric in them exists."""

import json
import re
import subprocess
import urllib.request
from pathlib import Path

import pytest
import yaml

from cli.ports import HOST
from tests.charts.chart_stack import ChartStack
from tests.charts.rendering import CHART, ROOT, Object, of_kind, render, tool

_NAME = re.compile(r"\b(?:sie|process|DCGM)_[a-zA-Z0-9_]+\b")
_RECORDED = re.compile(r"\bsie:[a-z0-9_:]+\b")
# Of dcgm-exporter, by its default list of counters.
_DCGM = {
    "DCGM_FI_DEV_XID_ERRORS",
    "DCGM_FI_DEV_GPU_TEMP",
    "DCGM_FI_DEV_FB_USED",
    "DCGM_FI_DEV_FB_FREE",
}


@pytest.fixture(scope="module")
def objects(released: Path) -> list[Object]:
    return render("gke", "dcgm-exporter.install=true", chart=released)


def _rules(objects: list[Object]) -> list[Object]:
    groups = [
        group
        for each in of_kind(objects, "PrometheusRule").values()
        for group in each["spec"]["groups"]
    ]
    return [rule for group in groups for rule in group["rules"]]


def _dashboards(objects: list[Object]) -> dict[str, Object]:
    maps = of_kind(objects, "ConfigMap")
    return {
        name: json.loads(content)
        for name, each in maps.items()
        if "grafana_dashboard" in each["metadata"].get("labels", {})
        for content in each["data"].values()
    }


def _expressions(objects: list[Object]) -> list[str]:
    panels = [panel for board in _dashboards(objects).values() for panel in board["panels"]]
    targets = [target["expr"] for panel in panels for target in panel["targets"]]
    scaled = of_kind(objects, "ScaledObject").values()
    queries = [
        trigger["metadata"]["query"] for each in scaled for trigger in each["spec"]["triggers"]
    ]
    return [rule["expr"] for rule in _rules(objects)] + targets + queries


def _exposed(stack: ChartStack) -> tuple[set[str], set[str]]:
    """Names of series, and of families that have no series yet, of a live stack."""
    series, families = set(), set()
    for name in ("gateway-1", "config", "worker-1"):
        address = f"http://{HOST}:{stack.probe_port(name)}/metrics"
        with urllib.request.urlopen(address, timeout=10) as reply:
            text = reply.read().decode()
        series |= {re.split(r"[{ ]", line)[0] for line in text.splitlines() if line[:1] != "#"}
        families |= set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    return series, families


def test_every_expression_parses(objects: list[Object], tmp_path: Path) -> None:
    for each in of_kind(objects, "PrometheusRule").values():
        name = each["metadata"]["name"]
        (tmp_path / f"{name}.yaml").write_text(json.dumps(each["spec"]))
    queries = [
        {"record": f"query_{number}", "expr": expression}
        for number, expression in enumerate(_expressions(objects))
    ]
    groups = {"groups": [{"name": "queries", "rules": queries}]}
    (tmp_path / "queries.yaml").write_text(json.dumps(groups))
    command = [tool("promtool"), "check", "rules", *map(str, tmp_path.glob("*.yaml"))]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(queries) > 60


def test_every_metric_exists(objects: list[Object], chart_stack: ChartStack) -> None:
    series, families = _exposed(chart_stack)
    used = {name for text in _expressions(objects) for name in _NAME.findall(text)}
    # A counter with labels has a family, and no series before its first event.
    missing = used - series - families - _DCGM
    assert not missing, missing
    assert len(used & (series | families)) > 20


def test_every_recording_that_is_read_is_made(objects: list[Object]) -> None:
    rules = _rules(objects)
    made = {rule["record"] for rule in rules if "record" in rule}
    texts = [rule["expr"] for rule in rules if "alert" in rule] + _expressions(objects)
    read = {name for text in texts for name in _RECORDED.findall(text)}
    assert read == made


def test_no_placeholder_is_left(objects: list[Object]) -> None:
    for text in _expressions(objects):
        assert "@" not in text, text


def test_every_alert_says_what_and_what_to_do(objects: list[Object]) -> None:
    alerts = [rule for rule in _rules(objects) if "alert" in rule]
    names = [rule["alert"] for rule in alerts]
    assert len(names) == len(set(names)) >= 15
    for rule in alerts:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert len(rule["annotations"]["description"]) > 40, rule["alert"]


@pytest.mark.parametrize(
    ("sets", "prefix"),
    [
        ((), "https://github.com/superlinked/sie/blob/main/docs/runbooks.md#"),
        (("alertRules.runbookUrl=https://docs.example.com/#",), "https://docs.example.com/#"),
    ],
)
def test_alerts_link_to_their_runbooks(sets: tuple[str, ...], prefix: str) -> None:
    alerts = [rule for rule in _rules(render("gke", *sets)) if "alert" in rule]
    assert alerts
    for rule in alerts:
        assert rule["annotations"]["runbook_url"] == prefix + rule["alert"].lower()


def test_links_to_runbooks_can_be_left_out() -> None:
    rules = _rules(render("gke", "alertRules.runbookUrl="))
    assert not [rule for rule in rules if "runbook_url" in rule.get("annotations", {})]


def test_the_bound_of_latency_is_a_bucket(objects: list[Object], chart_stack: ChartStack) -> None:
    bounds = {
        bound for rule in _rules(objects) for bound in re.findall(r'le="([^"]+)"', rule["expr"])
    }
    address = f"http://{HOST}:{chart_stack.probe_port('gateway-1')}"
    with urllib.request.urlopen(f"{address}/v1/models", timeout=10):
        pass
    with urllib.request.urlopen(f"{address}/metrics", timeout=10) as reply:
        text = reply.read().decode()
    buckets = set(re.findall(r'sie_gateway_request_latency_seconds_bucket\{.*?le="([^"]+)"', text))
    assert bounds == {"1.0"}
    assert bounds <= buckets


def test_dashboards_are_complete(objects: list[Object]) -> None:
    boards = _dashboards(objects)
    assert len(boards) == len(list((CHART / "files" / "dashboards").glob("*.yaml"))) == 5
    assert len({board["uid"] for board in boards.values()}) == 5
    for board in boards.values():
        ids = [panel["id"] for panel in board["panels"]]
        assert ids == list(range(1, len(ids) + 1))
        places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
        assert len(set(places)) == len(places)
        assert all(panel["targets"] for panel in board["panels"])


def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    for name, each in of_kind(render("gke"), "PrometheusRule").items():
        file = name.removeprefix("sie-sie-cluster-")
        spec = yaml.safe_load(json.dumps(each["spec"]))
        for rule in [rule for group in spec["groups"] for rule in group["rules"]]:
            # What is said is not what is tested.
            rule.pop("annotations", None)
        (tmp_path / f"{file}.yaml").write_text(json.dumps(spec))
    text = (
        (ROOT / "tests/charts/promtool/alerts.yaml")
        .read_text()
        .replace("WORKER", 'job="sie-sie-cluster-worker",namespace="sie"')
        .replace("SERIES", 'job="sie-sie-cluster-gateway",namespace="sie"')
    )
    (tmp_path / "tests.yaml").write_text(text)
    command = [tool("promtool"), "test", "rules", str(tmp_path / "tests.yaml")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
