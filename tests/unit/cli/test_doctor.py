"""Findings that a healthy machine does not show."""

import pytest

from cli.doctor.cluster import cluster
from cli.doctor.finding import Level
from cli.doctor.gateway_facts import GatewayFacts

WORKER = {
    "name": "w1",
    "healthy": True,
    "state": "ready",
    "gpu": "l4",
    "gpu_count": 0,
    "engines": ["onnxruntime-cpu"],
    "failed_models": [],
    "clock_lag_s": 0.01,
    "revision": 5,
    "version": "1",
    "memory_used_bytes": 1,
    "memory_total_bytes": 10,
}


def findings(worker=(), offset_s=0.0):
    health = {
        "broker": {"connected": True},
        "config_service": {"connected": True, "version": "1"},
        "gateways": [{"name": "g1", "version": "1", "revision": 5, "clock_lag_s": None}],
        "workers": [WORKER | dict(worker)],
    }
    facts = GatewayFacts(
        "http://g", version="1", revision=5, health=health, health_status=200, offset_s=offset_s
    )
    return [(each.check, each.level) for each in cluster(facts) if each.level != Level.OK]


def test_all_is_well():
    assert findings() == []


@pytest.mark.parametrize(
    ("worker", "finding"),
    [
        ({"clock_lag_s": 2.5}, ("clocks", Level.WARNING)),
        ({"clock_lag_s": -9.0}, ("clocks", Level.FAILURE)),
        ({"gpu_count": 1}, ("gpu", Level.FAILURE)),
        ({"revision": 3}, ("workers", Level.WARNING)),
        ({"memory_used_bytes": 10}, ("workers", Level.WARNING)),
        ({"state": "failed"}, ("workers", Level.FAILURE)),
        ({"version": "2"}, ("versions", Level.WARNING)),
        (
            {"failed_models": [{"name": "m", "error_class": "OOM", "message": "x"}]},
            ("models", Level.FAILURE),
        ),
    ],
)
def test_what_is_wrong_with_a_worker(worker, finding):
    assert findings(worker) == [finding]


def test_our_own_clock():
    assert findings(offset_s=-30.0) == [("clocks", Level.FAILURE)]
