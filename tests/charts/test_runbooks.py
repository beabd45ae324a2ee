"""Every alert has a section in the runbooks that its link leads to, and there is no other."""

import re

from tests.charts.rendering import ROOT, of_kind, render

_PREFIX = "https://docs.example.com/runbooks/#"


def test_every_alert_has_a_runbook_and_every_runbook_an_alert(released) -> None:
    objects = render(
        "gke", f"alertRules.runbookUrl={_PREFIX}", "dcgm-exporter.install=true", chart=released
    )
    links = {
        rule["annotations"]["runbook_url"]
        for each in of_kind(objects, "PrometheusRule").values()
        for group in each["spec"]["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    text = (ROOT / "docs" / "runbooks.md").read_text()
    anchors = {
        f"{_PREFIX}{title.lower()}" for title in re.findall(r"^## (.+)$", text, re.MULTILINE)
    }
    assert links == anchors
    assert len(links) == 20
