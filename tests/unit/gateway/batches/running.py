"""A gateway's part that runs batches, behind a real server; the model is played."""

import asyncio
import base64
import json

from prometheus_client import CollectorRegistry

from gateway.auth.guard import Guard
from gateway.auth.pages import PageRules
from gateway.auth.principal import Principal
from gateway.auth.tokens import Tokens, digest
from gateway.batches.assembly import Batches, BatchLimits
from gateway.batches.places import Places
from gateway.http.face import HttpFace, Readiness
from gateway.http.server import HttpServer
from gateway.http.websocket import StatusSocket
from gateway.json_calls import JsonCalls
from servicekit.lifecycle import end
from servicekit.payloads import open_files
from tests.unit.gateway.http_client import ask as ask_raw
from tests.unit.gateway.support import EchoInference, make_api

MODEL = "org/model"
ENCODE = f"/v1/encode/{MODEL}"
ENDED = ("completed", "failed", "expired", "cancelled")


class Gateway:
    """Everything of a gateway that batches need."""

    def __init__(self, client, name, places, inference, lease_s=0.6, store="jetstream", **limits):
        bounds = {"file_bytes": 1_000_000, "tenant_bytes": 3_000_000, "line_bytes": 10_000}
        bounds |= {"requests": 1000, "jobs": 2}
        self.inference = inference
        self.registry = CollectorRegistry()
        self.batches = Batches(
            client,
            name,
            open_files(store, client),
            BatchLimits(lease_s=lease_s, **(bounds | limits)),
            Places(places),
            self.registry,
        )
        principals = {digest(name): Principal(tenant=name) for name in ("acme", "other")}
        guard = Guard(Tokens(principals))
        api = make_api(inference, guard=guard, more=self.batches.services(lambda: self.calls))
        self.calls = JsonCalls(api)
        rules = PageRules(guard, "", open_operational=True)
        face = HttpFace(
            api,
            self.calls,
            registry=self.registry,
            ready=lambda: Readiness([], {}),
            page_rules=rules,
            socket=StatusSocket(lambda: "{}", rules),
            version="1",
            max_request_bytes=1_000_000,
            faces=[self.batches.face(api)],
        )
        self.server = HttpServer(face, "127.0.0.1", 0)

    async def __aenter__(self):
        self.port = await self.server.start()
        self.running = asyncio.create_task(self.batches.run(self.calls))
        return self

    async def __aexit__(self, *_):
        await end(self.running)
        await self.server.stop(0.05)

    async def ask(self, method, path, body=None, tenant="acme", headers=()):
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        bearer = ("Authorization", f"Bearer {tenant}")
        return await ask_raw(self.port, method, path, body or b"", [bearer, *headers])

    async def begin(self, lines, endpoint=ENCODE, **more):
        given = "\n".join(map(json.dumps, lines))
        answer = await self.ask(
            "POST", "/v1/batches", {"input": given, "endpoint": endpoint, **more}
        )
        assert answer.status == 201, answer.body
        return answer.json["id"]

    async def status(self, batch):
        return (await self.ask("GET", f"/v1/batches/{batch}")).json

    async def until(self, batch, *statuses):
        async with asyncio.timeout(30):
            while (found := await self.status(batch))["status"] not in statuses:
                await asyncio.sleep(0.05)
        return found

    async def content(self, file_id):
        content, offset = b"", 0
        while True:
            answer = await self.ask("GET", f"/v1/files/{file_id}:read?offset={offset}")
            assert answer.status == 200, answer.body
            content += base64.b64decode(answer.json.get("content", ""))
            if (offset := answer.json["next_offset"]) == 0:
                return content

    async def results(self, file_id):
        return [json.loads(line) for line in (await self.content(file_id)).splitlines()]


class SlowInference(EchoInference):
    """Answers when it may."""

    def __init__(self):
        super().__init__()
        self.open = asyncio.Event()

    async def _misbehave(self, model):
        if model == MODEL:
            await self.open.wait()
        await super()._misbehave(model)


def request(number, url=ENCODE, **body):
    body = body or {"items": [{"text": "x" * (number + 1)}]}
    return {"custom_id": f"c{number}", "method": "POST", "url": url, "body": body}
