"""A real Prometheus that scrapes as the chart's monitors say, in shortened time."""

import http.client
import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

import yaml

from cli import probes
from cli.managed_process import ManagedProcess
from cli.ports import HOST, free_port
from tests.charts.rendering import Object, of_kind, tool
from tests.waiting import until

# How long a series counts after its last sample, by Prometheus' own default.
_LOOKBACK_S = 300
_QUERY_TIMEOUT_S = 5.0


class Prometheus:
    """Answers queries about the targets of monitors.

    Args:
        directory: everything it writes goes here.
        objects: of the chart.
        monitors: of each ServiceMonitor's name, address by name of the pod.
        factor: by which every time is divided.
        lookback_s: how long a series counts after its last sample, in seconds of the cluster.
    """

    def __init__(
        self,
        directory: Path,
        objects: list[Object],
        monitors: Mapping[str, Mapping[str, str]],
        factor: float,
        lookback_s: float = _LOOKBACK_S,
    ) -> None:
        directory.mkdir(parents=True)
        config = directory / "prometheus.yml"
        jobs = [scrape_job(objects, *each, factor) for each in monitors.items()]
        config.write_text(yaml.safe_dump({"scrape_configs": jobs}))
        self._port = free_port()
        command = [
            tool("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address={HOST}:{self._port}",
            f"--query.lookback-delta={lookback_s * 1000 / factor:.0f}ms",
            "--log.level=warn",
        ]
        self.process = ManagedProcess(
            "prometheus",
            command,
            directory / "prometheus.log",
            env={},
            probe=probes.listening(HOST, self._port),
        )
        self._connections: dict[int, http.client.HTTPConnection] = {}

    def start(self) -> None:
        """Returns when something was scraped, which takes some seconds at first."""
        self.process.start()
        self.process.wait_ready(60)
        until(lambda: self.value("sum(up)"), wanted="a scrape")

    def value(self, query: str) -> float | None:
        """The one number that a query gives now; None where it gives none or nobody answers."""
        try:
            found = self.values(query)
        except (OSError, http.client.HTTPException):
            self._connection().close()
            return None
        assert len(found) <= 1, f"{query} gives {len(found)} numbers"
        return found[0] if found else None

    def values(self, query: str, in_s: float = 0.0) -> list[float]:
        """The numbers that a query gives, so many seconds from now."""
        asked = {"query": query}
        if in_s:
            asked["time"] = f"{time.time() + in_s:.3f}"
        found = self._ask(f"/api/v1/query?{urlencode(asked)}")
        assert found["status"] == "success", f"{query}: {found}"
        return [float(each["value"][1]) for each in found["data"]["result"]]

    def close(self) -> None:
        """Ends it; it cannot be asked any more."""
        self.process.kill()
        self.process.wait()
        for connection in self._connections.values():
            connection.close()

    def _ask(self, path: str) -> Object:
        connection = self._connection()
        connection.request("GET", path)
        reply = connection.getresponse()
        content = reply.read()
        if reply.status == http.HTTPStatus.SERVICE_UNAVAILABLE:  # It is starting.
            raise ConnectionError
        return json.loads(content)

    def _connection(self) -> http.client.HTTPConnection:
        """One for each thread, which opens itself when it is used."""
        return self._connections.setdefault(
            threading.get_ident(),
            http.client.HTTPConnection(HOST, self._port, timeout=_QUERY_TIMEOUT_S),
        )


def scrape_job(
    objects: list[Object], monitor: str, targets: Mapping[str, str], factor: float
) -> Object:
    """What the Prometheus operator makes of a monitor: labels, intervals, path and scheme."""
    rendered = of_kind(objects, "ServiceMonitor")[monitor]
    selected = rendered["spec"]["selector"]["matchLabels"].items()
    (service,) = [
        name
        for name, each in of_kind(objects, "Service").items()
        if selected <= each["metadata"]["labels"].items()
    ]
    (endpoint,) = rendered["spec"]["endpoints"]
    ports = of_kind(objects, "Service")[service]["spec"]["ports"]
    assert endpoint["port"] in {port["name"] for port in ports}
    labels = {
        "job": service,
        "namespace": rendered["metadata"]["namespace"],
        "endpoint": endpoint["port"],
    }
    interval = f"{_seconds(endpoint['interval']) * 1000 / factor:.0f}ms"
    return {
        "job_name": f"serviceMonitor/{monitor}/0",
        "metrics_path": endpoint["path"],
        "scheme": endpoint.get("scheme", "http"),
        "scrape_interval": interval,
        # Time runs faster here and the machine does not, so a scrape may take all of its interval.
        "scrape_timeout": interval,
        "static_configs": [
            {"targets": [address], "labels": {**labels, "pod": pod}}
            for pod, address in targets.items()
        ],
    }


def _seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))
