"""How a hot model's load shows in the answers of a cold one beside it, on one worker.

python benchmarks/many_models.py [SECONDS]
"""

import http.client
import json
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from cli.local_stack import DEFAULT_MODEL, LocalStack

_BERT = Path(__file__).parents[1] / "tests" / "golden" / "bert_mean"
_HOT_CLIENTS = 8
_HOT_TEXTS = ["The canary sang in the mine, and so the miners went on working. " * 3] * 16
_COLD_EVERY_S = 0.05


def encode(address: str, model: str, texts: list[str]) -> float:
    """Seconds that a request took."""
    started = time.perf_counter()
    connection = http.client.HTTPConnection(address, timeout=60)
    body = json.dumps({"items": [{"text": text} for text in texts]})
    connection.request("POST", f"/v1/encode/{model}", body)
    reply = connection.getresponse()
    reply.read()
    connection.close()
    assert reply.status == 200, reply.status
    return time.perf_counter() - started


def cold_latencies(address: str, seconds: float) -> list[float]:
    end, found = time.monotonic() + seconds, []
    while time.monotonic() < end:
        found.append(encode(address, "cold", ["water"]))
        time.sleep(_COLD_EVERY_S)
    return found


def show(label: str, found: list[float]) -> None:
    cuts = [cut * 1e3 for cut in statistics.quantiles(found, n=100)]
    print(f"{label:<12} {len(found):4} requests  p50 {cuts[49]:6.1f}  p99 {cuts[98]:6.1f} ms")


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    with tempfile.TemporaryDirectory() as name:
        models = Path(name) / "models"
        models.mkdir()
        tasks = {"encode": {"dense": {"dims": 48}}}
        cold = {"model_id": "cold", "sources": [{"directory": str(_BERT)}], "tasks": tasks}
        (models / "cold.yaml").write_text(json.dumps(cold))
        default = Path(__file__).parents[1] / "models" / "all-minilm-l6-v2.yaml"
        (models / default.name).write_text(default.read_text())
        env = {"SIE_MODELS_DIR": str(models)}
        with LocalStack(Path(name) / "stack", env=env) as stack:
            stack.start()
            encode(stack.http_address, "cold", ["water"])
            show("cold alone", cold_latencies(stack.http_address, seconds / 2))
            measure_beside_hot(stack.http_address, seconds)


def measure_beside_hot(address: str, seconds: float) -> None:
    stop, hot = threading.Event(), list[float]()

    def client() -> None:
        while not stop.is_set():
            hot.append(encode(address, DEFAULT_MODEL, _HOT_TEXTS))

    clients = [threading.Thread(target=client) for _ in range(_HOT_CLIENTS)]
    for thread in clients:
        thread.start()
    time.sleep(1)
    show("cold beside", cold_latencies(address, seconds))
    stop.set()
    for thread in clients:
        thread.join()
    show("hot", hot)


if __name__ == "__main__":
    main()
