"""Alerts, recordings and dashboards: they parse, fire when they should, and are complete."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.charts.monitoring import dashboards, expressions, rules_of
from tests.charts.rendering import CHART, ROOT, Object, of_kind, render, tool

_RECORDED = re.compile(r"\bsie:[a-z0-9_:]+\b")


def test_every_expression_parses(objects: list[Object], tmp_path: Path) -> None:
    for each in of_kind(objects, "PrometheusRule").values():
        name = each["metadata"]["name"]
        (tmp_path / f"{name}.yaml").write_text(json.dumps(each["spec"]))
    queries = [
        {"record": f"query_{number}", "expr": expression}
        for number, expression in enumerate(expressions(objects))
    ]
    groups = {"groups": [{"name": "queries", "rules": queries}]}
    (tmp_path / "queries.yaml").write_text(json.dumps(groups))
    command = [tool("promtool"), "check", "rules", *map(str, tmp_path.glob("*.yaml"))]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(queries) > 60


def test_every_recording_that_is_read_is_made(objects: list[Object]) -> None:
    rules = rules_of(objects)
    made = {rule["record"] for rule in rules if "record" in rule}
    texts = [rule["expr"] for rule in rules if "alert" in rule] + expressions(objects)
    read = {name for text in texts for name in _RECORDED.findall(text)}
    assert read == made


def test_no_placeholder_is_left(objects: list[Object]) -> None:
    for text in expressions(objects):
        assert "@" not in text, text


def test_every_alert_says_what_and_what_to_do(objects: list[Object]) -> None:
    alerts = [rule for rule in rules_of(objects) if "alert" in rule]
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
    alerts = [rule for rule in rules_of(render("gke", *sets)) if "alert" in rule]
    assert alerts
    for rule in alerts:
        assert rule["annotations"]["runbook_url"] == prefix + rule["alert"].lower()


def test_links_to_runbooks_can_be_left_out() -> None:
    rules = rules_of(render("gke", "alertRules.runbookUrl="))
    assert not [rule for rule in rules if "runbook_url" in rule.get("annotations", {})]


def test_dashboards_are_complete(objects: list[Object]) -> None:
    boards = dashboards(objects)
    assert len(boards) == len(list((CHART / "files" / "dashboards").glob("*.yaml"))) == 5
    assert len({board["uid"] for board in boards.values()}) == 5
    for board in boards.values():
        ids = [panel["id"] for panel in board["panels"]]
        assert ids == list(range(1, len(ids) + 1))
        places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
        assert len(set(places)) == len(places)
        assert all(panel["targets"] for panel in board["panels"])


def test_alerts_fire_when_they_should(objects: list[Object], tmp_path: Path) -> None:
    for name, each in of_kind(objects, "PrometheusRule").items():
        file = name.removeprefix("sie-sie-cluster-")
        spec = yaml.safe_load(json.dumps(each["spec"]))
        for rule in [rule for group in spec["groups"] for rule in group["rules"]]:
            # What is said is not what is tested.
            rule.pop("annotations", None)
        (tmp_path / f"{file}.yaml").write_text(json.dumps(spec))
    text = (ROOT / "tests/charts/promtool/alerts.yaml").read_text()
    text = text.replace("WORKER_LABELS", "job: sie-sie-cluster-worker, namespace: sie")
    for word, service in {"WORKER": "worker", "SERIES": "gateway", "CONFIG": "config"}.items():
        text = text.replace(word, f'job="sie-sie-cluster-{service}",namespace="sie"')
    (tmp_path / "tests.yaml").write_text(text)
    command = [tool("promtool"), "test", "rules", str(tmp_path / "tests.yaml")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_seen_to_fire(objects: list[Object]) -> None:
    cases = yaml.safe_load((ROOT / "tests/charts/promtool/alerts.yaml").read_text())["tests"]
    fired = {
        test["alertname"]
        for case in cases
        for test in case.get("alert_rule_test", [])
        if test["exp_alerts"]
    }
    assert fired == {rule["alert"] for rule in rules_of(objects) if "alert" in rule}
