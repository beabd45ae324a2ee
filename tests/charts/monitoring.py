"""What of a rendered chart asks Prometheus: rules, dashboards, triggers of ScaledObjects."""

import json

from tests.charts.rendering import Object, of_kind


def rules_of(objects: list[Object]) -> list[Object]:
    """Alerts and recordings."""
    groups = [
        group
        for each in of_kind(objects, "PrometheusRule").values()
        for group in each["spec"]["groups"]
    ]
    return [rule for group in groups for rule in group["rules"]]


def dashboards(objects: list[Object]) -> dict[str, Object]:
    """Dashboards by the name of what carries them."""
    maps = of_kind(objects, "ConfigMap")
    return {
        name: json.loads(content)
        for name, each in maps.items()
        if "grafana_dashboard" in each["metadata"].get("labels", {})
        for content in each["data"].values()
    }


def queries_of(objects: list[Object], scaled_object: str = "") -> list[str]:
    """Queries of triggers: of one ScaledObject, or of all."""
    scaled = of_kind(objects, "ScaledObject")
    chosen = [scaled[scaled_object]] if scaled_object else list(scaled.values())
    return [trigger["metadata"]["query"] for each in chosen for trigger in each["spec"]["triggers"]]


def expressions(objects: list[Object]) -> list[str]:
    """Every expression there is."""
    panels = [panel for board in dashboards(objects).values() for panel in board["panels"]]
    targets = [target["expr"] for panel in panels for target in panel["targets"]]
    return [rule["expr"] for rule in rules_of(objects)] + targets + queries_of(objects)
