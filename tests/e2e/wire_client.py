"""A client as strict as those in the field: MessagePack by default, and no look at content types.

It sends `application/msgpack` with every request, whatever the body, reads every answer of an
inference as MessagePack, insists on arrays where it expects them, and tries again by the rules that
such clients have.
"""

import json
import threading
import time
from typing import Any, Self

import httpx
import msgpack
import numpy as np
from websockets.sync.client import connect

PACKED = "application/msgpack"
_RENEWAL_PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.5)
_PAUSE_S = 0.2


class RequestError(Exception):
    def __init__(self, status: int, code: str | None, message: str, details: dict) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.details = status, code, details


class ServerError(RequestError):
    pass


class ModelLoadFailedError(ServerError):
    pass


class ProvisioningError(Exception):
    def __init__(self, retry_after: float | None) -> None:
        super().__init__("capacity is being provisioned")
        self.retry_after = retry_after


class WireClient:
    def __init__(self, address: str, *, gpu: str | None = None, renew_s: float = 60.0) -> None:
        self._address = address
        self._renew_s = renew_s
        self._leases: dict[str, threading.Event] = {}
        headers = {"content-type": PACKED, "accept": PACKED, "x-sie-sdk-version": "0.3.1"}
        if gpu:
            pool, _, profile = gpu.rpartition("/")
            headers["x-sie-machine-profile"] = profile
            if pool:
                headers["x-sie-pool"] = pool
        self._http = httpx.Client(base_url=f"http://{address}", headers=headers, timeout=30)
        self.renewed = 0

    def encode(self, model: str, items: Any, *, wait: bool = True, **params: Any) -> Any:
        single = isinstance(items, dict)
        if "is_query" in params:
            params.setdefault("options", {})["is_query"] = params.pop("is_query")
        body = {"items": [items] if single else items}
        if params:
            body["params"] = params
        answer = self._infer(f"/v1/encode/{model}", body, wait)
        results = [self._encoded(item) for item in answer["items"]]
        for result in results:
            result["timing"] = answer.get("timing")
        return results[0] if single else results

    def score(self, model: str, query: dict, items: list[dict], **more: Any) -> dict:
        answer = self._infer(f"/v1/score/{model}", {"query": query, "items": items, **more})
        scores = [(entry["item_id"], entry["score"], entry["rank"]) for entry in answer["scores"]]
        return {"model": answer["model"], "query_id": answer.get("query_id"), "scores": scores}

    def extract(self, model: str, items: Any, **params: Any) -> Any:
        body = {"items": [items] if isinstance(items, dict) else items, "params": params}
        answer = self._infer(f"/v1/extract/{model}", body)
        for item in answer["items"]:
            for entity in item["entities"]:
                assert {"text", "label", "score"} <= entity.keys()
            for name in ("relations", "classifications", "objects"):
                assert isinstance(item[name], list)
        return answer["items"][0] if isinstance(items, dict) else answer["items"]

    def models(self) -> list[dict]:
        return self._manage("GET", "/v1/models").json()["models"]

    def model(self, name: str) -> dict:
        return self._manage("GET", f"/v1/models/{name}").json()

    def capacity(self, gpu: str | None = None) -> dict:
        health = self._manage("GET", "/health").json()
        assert health["type"] == "gateway"
        workers = health["workers"]
        if gpu:
            workers = [each for each in workers if each["gpu"].lower() == gpu.lower()]
        return {**health["cluster"], "worker_count": len(workers), "workers": workers}

    def create_pool(self, name: str, gpus: dict[str, int], **spec: Any) -> dict:
        headers = {"content-type": "application/json"}
        body = json.dumps({"name": name, "gpus": gpus, **spec})
        created = self._manage("POST", "/v1/pools", content=body, headers=headers).json()
        if name not in self._leases:
            self._leases[name] = threading.Event()
            threading.Thread(target=self._keep, args=(name,), daemon=True).start()
        return created

    def pool(self, name: str) -> dict | None:
        reply = self._manage("GET", f"/v1/pools/{name}", missing=True)
        return None if reply is None else reply.json()

    def delete_pool(self, name: str) -> bool:
        if name in self._leases:
            self._leases.pop(name).set()
        return self._manage("DELETE", f"/v1/pools/{name}", missing=True) is not None

    def watch(self, frames: int) -> list[dict]:
        with connect(f"ws://{self._address}/ws/cluster-status") as socket:
            return [json.loads(socket.recv(timeout=10)) for _ in range(frames)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stop in self._leases.values():
            stop.set()
        self._http.close()

    def _keep(self, name: str) -> None:
        stop = self._leases[name]
        while not stop.wait(self._renew_s):
            for pause_s in _RENEWAL_PAUSES_S:
                # No body, and yet the header says MessagePack.
                if self._http.post(f"/v1/pools/{name}/renew").status_code < 400:
                    self.renewed += 1
                    break
                if stop.wait(pause_s):
                    return

    def _infer(self, path: str, body: dict, wait: bool = True, within_s: float = 60.0) -> dict:
        until = time.monotonic() + within_s
        content = msgpack.packb(body, default=_array_map)
        while True:
            reply = self._http.post(path, content=content)
            if reply.status_code == 200:
                return msgpack.unpackb(
                    reply.content, object_pairs_hook=arrays, strict_map_key=False
                )
            again = reply.status_code in (202, 503, 504) and time.monotonic() < until
            if not (wait and again):
                raise _error(reply)
            time.sleep(min(float(reply.headers.get("retry-after") or 5), _PAUSE_S))

    def _manage(self, method: str, path: str, *, missing: bool = False, **more: Any) -> Any:
        headers = {"accept": "application/json", **more.pop("headers", {})}
        reply = self._http.request(method, path, headers=headers, **more)
        if missing and reply.status_code == 404:
            return None
        if reply.status_code >= 400:
            # As it is read there: `detail` is an object, or the client itself fails.
            raise RequestError(reply.status_code, None, reply.json()["detail"]["message"], {})
        return reply

    def _encoded(self, item: dict) -> dict:
        result = {"id": item.get("id"), "error": item.get("error")}
        for output, arrays in {
            "dense": ["values"],
            "sparse": ["indices", "values"],
            "multivector": ["values"],
        }.items():
            if output in item:
                found = [item[output][name] for name in arrays]
                assert all(isinstance(each, np.ndarray) for each in found)
                result[output] = found[0] if len(found) == 1 else tuple(found)
        return result


def _error(reply: httpx.Response) -> Exception:
    if reply.status_code == 202:
        return ProvisioningError(float(reply.headers["retry-after"]))
    packed = PACKED in reply.headers["content-type"]
    body = msgpack.unpackb(reply.content) if packed else reply.json()
    found = body.get("error") or body.get("detail")
    details = found if isinstance(found, dict) else {"message": found}
    arguments = (reply.status_code, details.get("code"), details.get("message"), details)
    if details.get("code") == "MODEL_LOAD_FAILED":
        return ModelLoadFailedError(*arguments)
    return (ServerError if reply.status_code >= 500 else RequestError)(*arguments)


def arrays(pairs: list) -> Any:
    """Return what msgpack-numpy makes of a map: an array where its binary keys say so."""
    made = dict(pairs)
    if b"nd" in made:
        return np.frombuffer(made[b"data"], made[b"type"]).reshape(made[b"shape"])
    return made


def _array_map(array: np.ndarray) -> dict:
    return {
        b"nd": True,
        b"type": array.dtype.str,
        b"kind": b"",
        b"shape": list(array.shape),
        b"data": array.tobytes(),
    }
