"""Judges what a gateway tells of its cluster. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from cli.doctor.finding import Finding, Level
from cli.doctor.gateway_facts import GatewayFacts

# Deadlines are absolute: what clocks differ by is missing from each, or added to it.
_LAG_WARNING_S = 1.0
_LAG_FAILURE_S = 5.0
_MEMORY_FULL = 0.95

_ADVICE_BY_CLASS = {
    "GATED": "give workers a token that may read it (HF_TOKEN)",
    "NOT_FOUND": "correct its source: sie apply -f FILE",
    "CHECKPOINT": "correct its source or its checksums: sie apply -f FILE",
    "UNSUPPORTED": "no engine here computes it: choose another model, precision or engine",
    "OOM": "raise SIE_MEMORY_BYTES, or give it workers with more memory",
    "NETWORK": "see whether workers reach the source (HF_ENDPOINT names a mirror)",
}


def gateway(facts: GatewayFacts) -> list[Finding]:
    """Whether a gateway answers, and can serve."""
    if facts.problem:
        return [
            Finding(
                "gateway",
                Level.FAILURE,
                f"nobody answers at {facts.url}: {facts.problem}",
                _advice(facts),
            )
        ]
    if not facts.version:
        return [
            Finding(
                "gateway",
                Level.FAILURE,
                f"what answers at {facts.url} is another program",
                "name the gateway's address, or move its port with SIE_HTTP_PORT",
            )
        ]
    if facts.reasons:
        message = f"{facts.url} is not ready: {'; '.join(facts.reasons)}"
        advice = "see the findings below; without any, its log says more"
        return [Finding("gateway", Level.FAILURE, message, advice)]
    message = f"{facts.url} is ready, version {facts.version}, {facts.took_s * 1000:.0f} ms"
    return [Finding("gateway", Level.OK, message)]


def _advice(facts: GatewayFacts) -> str:
    if facts.url.startswith("https:") and "refused" not in facts.problem:
        return (
            "name who signed its certificate for that name: --ca-file; "
            "where it asks callers for one: --certificate and --private-key"
        )
    return (
        "start one with `sie up`, or name its address: sie doctor http://HOST:PORT, "
        "or https://HOST:PORT where it serves TLS"
    )


def cluster(facts: GatewayFacts) -> list[Finding]:
    """What the gateway knows of everybody else."""
    if facts.problem or not facts.version:
        return []
    if facts.health is None:
        return [_hidden(facts.health_status)]
    health = facts.health
    workers = health["workers"]
    return [
        _link(health["broker"]["connected"]),
        _config(health["config_service"], facts.revision),
        *_workers(workers, facts.revision),
        *_models(workers),
        *_engines(workers),
        _versions(facts.version, health),
        *_clocks(facts.offset_s, health),
    ]


def _hidden(status: int) -> Finding:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        message = "the gateway tells of its cluster to callers with a token only"
        return Finding("cluster", Level.FAILURE, message, "set SIE_API_KEY")
    message = f"the gateway answers /health with {status}"
    return Finding("cluster", Level.FAILURE, message, "see its log")


def _link(connected: bool) -> Finding:
    if connected:
        return Finding("broker", Level.OK, "the gateway is connected")
    message = "the gateway has lost the broker, and can accept nothing"
    return Finding(
        "broker", Level.FAILURE, message, "start the broker; see its log and SIE_NATS_URL"
    )


def _config(config: Mapping[str, Any], revision: int) -> Finding:
    if config["connected"]:
        return Finding("config", Level.OK, f"the gateway follows the registry, revision {revision}")
    return Finding(
        "config",
        Level.FAILURE,
        f"the config service cannot be reached; gateways serve what they know, revision {revision}",
        "start it; see its log and SIE_CONFIG_ADDRESS",
    )


def _workers(workers: list[dict[str, Any]], revision: int) -> Iterable[Finding]:
    ready = [worker for worker in workers if worker["healthy"]]
    if not ready:
        yield Finding(
            "workers",
            Level.WARNING,
            f"none of {len(workers)} is ready; requests are answered 202 until one is",
            "start one, or see the ScaledObject and the pods of its pool",
        )
    else:
        yield Finding("workers", Level.OK, f"{len(ready)} of {len(workers)} ready")
    for worker in workers:
        name = worker["name"]
        if worker["state"] == "failed":
            message = f"{name} cannot serve"
            yield Finding("workers", Level.FAILURE, message, "see its log and its /readyz")
        if 0 < worker["revision"] < revision:
            message = f"{name} has applied revision {worker['revision']} of {revision}"
            advice = "if it stays so, see its log: its watch of the registry is broken"
            yield Finding("workers", Level.WARNING, message, advice)
        total = worker["memory_total_bytes"]
        if total and worker["memory_used_bytes"] / total > _MEMORY_FULL:
            message = f"{name} has used {worker['memory_used_bytes'] / total:.0%} of its memory"
            advice = "lower SIE_MEMORY_BYTES, or give it fewer models"
            yield Finding("workers", Level.WARNING, message, advice)


def _models(workers: list[dict[str, Any]]) -> Iterable[Finding]:
    for worker in workers:
        for model in worker["failed_models"]:
            error_class = model["error_class"]
            message = f"{worker['name']} cannot load {model['name']}: {model['message']}"
            advice = _ADVICE_BY_CLASS.get(error_class, "see the worker's log")
            yield Finding("models", Level.FAILURE, message, advice)


def _engines(workers: list[dict[str, Any]]) -> Iterable[Finding]:
    for worker in workers:
        engines = worker["engines"]
        if worker["gpu_count"] and engines and all("cpu" in engine for engine in engines):
            yield Finding(
                "gpu",
                Level.FAILURE,
                f"{worker['name']} is a {worker['gpu']} and computes with {', '.join(engines)}",
                "see whether its image is the one for CUDA, and the node's driver (nvidia-smi)",
            )


def _versions(version: str, health: Mapping[str, Any]) -> Finding:
    found: dict[str, list[str]] = defaultdict(list)
    found[version].append("this gateway")
    for each in health["gateways"]:
        found[each["version"]].append(f"gateway {each['name']}")
    for each in health["workers"]:
        found[each["version"]].append(each["name"])
    if health["config_service"]["version"]:
        found[health["config_service"]["version"]].append("config service")
    if len(found) == 1:
        return Finding("versions", Level.OK, f"everything is {version}")
    parts = "; ".join(f"{which}: {', '.join(names)}" for which, names in sorted(found.items()))
    advice = "during a roll-out this passes; else bring all to one version"
    return Finding("versions", Level.WARNING, parts, advice)


def _clocks(offset_s: float, health: Mapping[str, Any]) -> Iterable[Finding]:
    lags = {f"{each['name']}'s": each["clock_lag_s"] for each in health["workers"]}
    lags |= {f"gateway {each['name']}'s": each["clock_lag_s"] for each in health["gateways"]}
    lags = {name: lag for name, lag in lags.items() if lag is not None} | {"our": offset_s}
    wrong = {name: lag for name, lag in lags.items() if abs(lag) > _LAG_WARNING_S}
    if not wrong:
        yield Finding("clocks", Level.OK, f"{len(lags)} agree within {_LAG_WARNING_S:g} s")
    for name, lag in wrong.items():
        level = Level.FAILURE if abs(lag) > _LAG_FAILURE_S else Level.WARNING
        message = f"{name} clock and the gateway's differ by {abs(lag):.1f} s"
        advice = "let both machines follow NTP: deadlines of requests are points in time"
        yield Finding("clocks", level, message, advice)
