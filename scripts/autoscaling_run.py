"""Runs a small cluster from zero through load and back, and draws what came of it.

python -m scripts.autoscaling_run OUT.svg [LOG.jsonl]

Gateways, workers, broker and Prometheus are real; KEDA and the nodes are stand-ins.
"""

import http.client
import json
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from scripts.timeline import Panel, Series, draw
from tests.autoscaling import cluster as scaled
from tests.autoscaling.models import MODEL, definitions

_FACTOR = 30.0
_NODE_DELAY_S = 90.0
_POOL = "growing"
_TICK_S = 0.2
_VALUES = Path(scaled.__file__).with_name("values.yaml")


class Recorder(threading.Thread):
    """Notes how the pool stands, several times a second."""

    def __init__(self, cluster: scaled.ScaledCluster) -> None:
        super().__init__(daemon=True)
        self.rows: list[dict[str, Any]] = []
        self.ended = threading.Event()
        self._cluster = cluster
        self._lock = threading.Lock()
        self._replies = {200: 0, 202: 0}

    def count(self, status: int) -> None:
        """One reply to a client."""
        with self._lock:
            self._replies[status] += 1

    def run(self) -> None:
        pool, began = self._cluster.pools[_POOL], time.monotonic()
        while not self.ended.wait(_TICK_S):
            with self._lock:
                replies, self._replies = self._replies, {200: 0, 202: 0}
            row = {
                "minute": round((time.monotonic() - began) * _FACTOR / 60, 3),
                "wanted": pool.replicas,
                "ready": len(pool.pods.ready()),
                "demand": pool.last("pending-demand") or 0.0,
                "kept": pool.last("recent-use") or 0.0,
                "queue": pool.last("queue-depth") or 0.0,
                "served": replies[200],
                "refused": replies[202],
            }
            self.rows.append(row)


class Clients:
    """Callers that come back when they are told to."""

    def __init__(self, cluster: scaled.ScaledCluster, recorder: Recorder) -> None:
        self._address = cluster.address()
        self._recorder = recorder

    def encode(self, texts: int) -> None:
        """Until it is served."""
        while (retry_after := self._once(texts)) is not None:
            time.sleep(retry_after)

    def keep_busy(self, texts: int, callers: int, seconds: float) -> None:
        """As many as that, each with one request after the other."""
        end = time.monotonic() + seconds

        def caller() -> None:
            while time.monotonic() < end:
                self.encode(texts)

        with ThreadPoolExecutor(callers) as threads:
            for each in [threads.submit(caller) for _ in range(callers)]:
                each.result()

    def _once(self, texts: int) -> float | None:
        body = json.dumps({"items": [{"text": f"text {number}"} for number in range(texts)]})
        connection = http.client.HTTPConnection(self._address, timeout=60)
        headers = {"x-sie-machine-profile": _POOL}
        connection.request("POST", f"/v1/encode/{MODEL}", body, headers)
        reply = connection.getresponse()
        reply.read()
        connection.close()
        self._recorder.count(reply.status)
        return float(reply.headers["retry-after"]) if reply.status == 202 else None


def record() -> list[dict[str, Any]]:
    values = yaml.safe_load(_VALUES.read_text())
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        models = definitions(directory / "models")
        with scaled.ScaledCluster(
            directory, values, models, directory / "engines", _FACTOR, _NODE_DELAY_S
        ) as cluster:
            recorder = Recorder(cluster)
            recorder.start()
            clients = Clients(cluster, recorder)
            time.sleep(cluster.real(60))
            clients.keep_busy(400, 3, cluster.real(700))
            light_until = time.monotonic() + cluster.real(420)
            while time.monotonic() < light_until:
                clients.encode(1)
                time.sleep(cluster.real(20))
            cluster.until(lambda: not cluster.pools[_POOL].pods.running())
            time.sleep(cluster.real(30))
            recorder.ended.set()
            recorder.join()
    return recorder.rows


def picture(rows: list[dict[str, Any]]) -> str:
    def series(label: str, colour: str, key: str, *, bars: bool = False) -> Series:
        return Series(label, colour, changes(key), bars=bars)

    def counts(label: str, colour: str, key: str) -> Series:
        return Series(label, colour, [(row["minute"], row[key]) for row in rows], bars=True)

    def changes(key: str) -> list[tuple[float, float]]:
        before = [None, *(row[key] for row in rows)]
        seen = zip(rows, before, strict=False)
        return [(row["minute"], row[key]) for row, last in seen if row[key] != last]

    panels = [
        Panel(
            "Workers",
            [
                series("ready", "#2da44e", "ready", bars=True),
                series("wanted", "#0969da", "wanted"),
            ],
        ),
        Panel(
            "What keeps or brings them",
            [
                series("sie_gateway_pending_demand", "#cf222e", "demand"),
                series("sie_gateway_workers_kept", "#8250df", "kept"),
            ],
        ),
        Panel("Items that wait", [series("queue-depth", "#bc4c00", "queue")]),
        Panel(
            "Replies in each look",
            [
                counts("200", "#2da44e", "served"),
                counts("202", "#cf222e", "refused"),
            ],
        ),
    ]
    return draw(panels, rows[-1]["minute"], "minutes of the cluster", 5)


def main() -> None:
    rows = record()
    Path(sys.argv[1]).write_text(picture(rows))
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(f"{len(rows)} looks in {rows[-1]['minute']:.1f} minutes of the cluster: {sys.argv[1]}")


if __name__ == "__main__":
    main()
