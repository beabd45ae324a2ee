"""Every expression of rules, dashboards and triggers has an answer where things have happened.

A real Prometheus scrapes a stack by the chart's monitors. An expression is asked as it is rendered,
with what filters turned into what tells (`> 0` into `> bool 0`), recordings by what records them,
and besides that each of its selectors alone, since one side of an `or` hides the other.
"""

import json
import re
from collections.abc import Iterator
from operator import ge
from pathlib import Path

import pytest

from cli.ports import HOST
from tests import hub_server
from tests.asking import ask
from tests.autoscaling.prometheus import Prometheus
from tests.charts.chart_stack import ChartStack
from tests.charts.monitoring import dashboards, queries_of, rules_of
from tests.charts.rendering import CHART, Object, render, tool
from tests.e2e.golden_models import GOLDEN
from tests.waiting import until

_PROFILE = "l4"
_SELECTOR = re.compile(r"\b(?:sie|process|up)[a-z_]*\{[^}]*\}|\bDCGM_\w+")
# Of dcgm-exporter, by its default list of counters; there is no GPU to ask.
_DCGM = {
    "DCGM_FI_DEV_XID_ERRORS",
    "DCGM_FI_DEV_GPU_TEMP",
    "DCGM_FI_DEV_FB_USED",
    "DCGM_FI_DEV_FB_FREE",
}
_COMPARISON = re.compile(r"(==|!=|>=|<=|>|<)(?! *bool)")
# Steps of a subquery lie on whole minutes, and there may not have been one.
_AHEAD_S = 60
# More than either model takes, less than both.
_TIGHT_BYTES = "500000"
_QUEUED_CHUNKS = 8
_MANY_ITEMS = 4096


def _define(folder: Path, kind: str, definitions: list[Object]) -> str:
    for number, each in enumerate(definitions):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        (folder / kind / f"{number}.yaml").write_text(json.dumps(each))
    return str(folder / kind)


def _model(name: str, source: Object) -> Object:
    tasks = {"encode": {"dense": {"dims": 48}}}
    return {"model_id": name, "sources": [source], "inputs": ["text"], "tasks": tasks}


def _definitions(folder: Path) -> dict[str, str]:
    remote = {"hugging_face": {"repo": hub_server.REPO, "revision": hub_server.COMMIT}}
    models = [
        _model("near", {"directory": str(GOLDEN / "distilbert")}),
        _model("remote", remote),
        _model("lost", {"directory": str(folder / "nowhere")}),
    ]
    profiles = [{"machine_profile_id": name} for name in ("cpu", _PROFILE)]
    return {
        "SIE_MODELS_DIR": _define(folder, "models", models),
        "SIE_MACHINE_PROFILES_DIR": _define(folder, "machine_profiles", profiles),
    }


class Scene:
    """A stack in which each thing that is counted has happened, and who scraped it."""

    def __init__(self, stack: ChartStack, prometheus: Prometheus) -> None:
        self.prometheus = prometheus
        self._stack = stack

    def happen(self) -> None:
        """Requests that are served and that fail; models that change places."""
        for model, status in {"near": 200, "remote": 200, "lost": 502}.items():
            assert self._encode(model) == status
            # Series of a model end when another takes its place.
            self.scraped(1)
        until(lambda: self._encode("near", items=_MANY_ITEMS) == 503)
        assert self._encode("near", "h100") == 503

    def lease(self) -> None:
        """The only worker goes to one tenant, and the others are told to come back."""
        lease = {"name": "tenant", "gpus": {_PROFILE: 1}}
        assert ask(self._stack.http_address, "POST", "/v1/pools", lease).status == 201
        until(lambda: self._encode("near", _PROFILE) == 202)

    def scraped(self, times: int) -> None:
        """Waits until all three services were scraped so many times more."""

        def scrapes() -> list[float]:
            jobs = [f"sie-sie-cluster-{service}" for service in _SERVICES]
            queries = [f'count_over_time(up{{job="{job}"}}[1h])' for job in jobs]
            return [sum(self.prometheus.values(query)) for query in queries]

        wanted = [count + times for count in scrapes()]
        until(lambda: all(map(ge, scrapes(), wanted)), 120, "scrapes")

    def _encode(self, model: str, profile: str = "", items: int = 1) -> int:
        headers = {"x-sie-machine-profile": profile} if profile else {}
        body = {"items": [{"text": "Hello"}] * items}
        path = f"/v1/encode/{model}"
        return ask(self._stack.http_address, "POST", path, body, headers).status


@pytest.fixture(scope="module")
def scene(tmp_path_factory, engine_cache: Path, objects: list[Object]) -> Iterator[Scene]:
    tool("prometheus")
    folder = tmp_path_factory.mktemp("expressions")
    env = _definitions(folder) | {
        "SIE_MEMORY_BYTES": _TIGHT_BYTES,
        "SIE_MIN_RESIDENCE_S": "0.1",
        "SIE_MACHINE_PROFILE": _PROFILE,
        "SIE_STREAM_MAX_MESSAGES": str(_QUEUED_CHUNKS),
    }
    with hub_server.running(hub_server.files_of(GOLDEN / "bert_mean")) as hub:
        env["HF_ENDPOINT"] = hub.url
        with ChartStack(folder / "stack", cache_dir=engine_cache, env=env) as stack:
            stack.start_all("near")
            prometheus = Prometheus(
                folder / "prometheus",
                objects,
                {
                    f"sie-sie-cluster-{service}": {name: f"{HOST}:{stack.probe_port(name)}"}
                    for service, name in _SERVICES.items()
                },
                factor=30,
                lookback_s=30 * 300,
            )
            prometheus.start()
            try:
                scene = Scene(stack, prometheus)
                # What begins with its first event must be seen twice, and then again.
                for _ in range(2):
                    scene.happen()
                    scene.scraped(2)
                scene.lease()
                scene.scraped(1)
                yield scene
            finally:
                prometheus.close()


_SERVICES = {"gateway": "gateway-1", "config": "config", "worker": "worker-1"}


def _telling(expression: str) -> str:
    """The expression with filters that give 0 or 1 instead of nothing."""
    inner = re.fullmatch(r"absent\((.*)\)", expression.strip(), re.DOTALL)
    parts = re.split(r"(\{[^}]*\})", inner[1] if inner else expression)
    parts[::2] = [_COMPARISON.sub(r"\1 bool", part) for part in parts[::2]]
    return "".join(parts)


def _recorded(expression: str, recordings: dict[str, str]) -> str:
    for name, made_of in recordings.items():
        expression = expression.replace(name, f"({made_of})")
    return expression


def _asked(objects: list[Object]) -> list[str]:
    """Expressions of rules and panels, and triggers of one lane, as those of others are."""
    rules = rules_of(objects)
    recordings = {rule["record"]: rule["expr"] for rule in rules if "record" in rule}
    panels = [panel for board in dashboards(objects).values() for panel in board["panels"]]
    found = [rule["expr"] for rule in rules]
    found += [target["expr"] for panel in panels for target in panel["targets"]]
    for name in (f"{_PROFILE}-default", "gateway"):
        found += queries_of(objects, f"sie-sie-cluster-{name}")
    return [_recorded(each, recordings) for each in found]


def test_every_expression_has_an_answer(objects: list[Object], scene: Scene) -> None:
    asked = [each for each in _asked(objects) if "DCGM" not in each]
    assert len(asked) > 60
    silent = [each for each in asked if not scene.prometheus.values(_telling(each), _AHEAD_S)]
    assert not silent, "\n".join(silent)


def test_every_selector_finds_series(objects: list[Object], scene: Scene) -> None:
    selectors = {selector for each in _asked(objects) for selector in _SELECTOR.findall(each)}
    assert len(selectors) > 40
    wanted = {each for each in selectors if not each.startswith("DCGM")}
    assert selectors - wanted == _DCGM
    silent = [each for each in wanted if not scene.prometheus.values(f"count({each})", _AHEAD_S)]
    assert not silent, "\n".join(silent)


def test_all_lanes_ask_the_same(objects: list[Object]) -> None:
    ours = queries_of(objects, f"sie-sie-cluster-{_PROFILE}-default")
    for other in ("l4-spot", "a100-80gb"):
        theirs = queries_of(objects, f"sie-sie-cluster-{other}-default")
        assert [each.replace(f'"{other}"', f'"{_PROFILE}"') for each in theirs] == ours


def test_a_metric_of_another_name_would_be_noticed(objects: list[Object], scene: Scene) -> None:
    for each in _asked(objects):
        for selector in _SELECTOR.findall(each):
            renamed = _telling(each.replace(selector, selector.replace("{", "_x{")))
            if " or " not in each and "DCGM" not in each:
                assert not scene.prometheus.values(renamed, _AHEAD_S), renamed


def test_the_bounds_of_latency_are_buckets(scene: Scene) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    slo = schema["properties"]["alertRules"]["properties"]["slo"]["properties"]
    for bound in slo["latencySeconds"]["enum"]:
        values = f"alertRules: {{slo: {{latencySeconds: {bound}}}}}"
        rules = rules_of(render("gke", values=values))
        (le,) = {found for rule in rules for found in re.findall(r'le="([^"]+)"', rule["expr"])}
        query = f'count(sie_gateway_request_latency_seconds_bucket{{le="{le}"}})'
        assert scene.prometheus.values(query), bound
