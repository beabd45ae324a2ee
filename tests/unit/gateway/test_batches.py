"""Batches and files through a real server and a real broker; the model is played."""

import asyncio
import base64
import json
import os

import nats
import pytest
from prometheus_client import CollectorRegistry

from config_service.streams import StreamLimits, Streams
from gateway.auth.guard import Guard
from gateway.auth.pages import PageRules
from gateway.auth.principal import Principal
from gateway.auth.tokens import Tokens, digest
from gateway.batches import runner
from gateway.batches.assembly import Batches, BatchLimits
from gateway.batches.places import Places
from gateway.batches.records import Key, Records, new_id
from gateway.http_face import HttpFace, Readiness
from gateway.http_server import HttpServer
from gateway.http_websocket import StatusSocket
from gateway.json_calls import JsonCalls
from servicekit.errors import SieError
from servicekit.lifecycle import end
from servicekit.payloads import open_files
from sie.errors.v1.error_reason_pb2 import ErrorReason
from tests import broker
from tests.unit.gateway.http_client import ask as ask_raw
from tests.unit.gateway.support import EchoInference, make_api

MODEL = "org/model"
ENCODE = f"/v1/encode/{MODEL}"
ENDED = ("completed", "failed", "expired", "cancelled")
BOUNDARY = "b0undary"
MULTIPART = ("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")


@pytest.fixture(scope="module")
def nats_url(tmp_path_factory):
    with broker.running(tmp_path_factory.mktemp("broker")) as url:
        yield url


@pytest.fixture
async def client(nats_url):
    client = await nats.connect(nats_url)
    await Streams(client, StreamLimits()).ensure()
    yield client
    for stream in ("KV_SIE_BATCHES", "OBJ_SIE_FILES"):
        await client.jetstream().purge_stream(stream)
    await client.close()


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
        async with asyncio.timeout(15):
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


@pytest.fixture
def place(tmp_path):
    return f"file://{tmp_path}/place/{{tenant}}/"


@pytest.fixture
async def gateway(client, place):
    async with Gateway(client, "gw", [place], EchoInference()) as gateway:
        yield gateway


def request(number, url=ENCODE, **body):
    body = body or {"items": [{"text": "x" * (number + 1)}]}
    return {"custom_id": f"c{number}", "method": "POST", "url": url, "body": body}


def form(content, purpose="batch", filename="in.jsonl", **fields):
    parts = [("purpose", purpose), *fields.items()]
    lines = b"".join(
        b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
        % (BOUNDARY.encode(), name.encode(), value.encode())
        for name, value in parts
    )
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"'
    return lines + head.encode() + b"\r\n\r\n" + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def text(data):
    return base64.b64encode(data).decode()


async def test_every_request_has_its_result_in_their_order(gateway):
    batch = await gateway.begin([request(n) for n in range(600)], metadata={"for": "test"})
    done = await gateway.until(batch, *ENDED)
    assert done["status"] == "completed"
    assert done["request_counts"] == {"total": 600, "completed": 600, "failed": 0}
    assert done["metadata"] == {"for": "test"}
    assert done["created_at"] <= done["in_progress_at"] <= done["completed_at"]
    assert "error_file_id" not in done
    lines = await gateway.results(done["output_file_id"])
    assert [line["custom_id"] for line in lines] == [f"c{n}" for n in range(600)]
    assert [line["line"] for line in lines] == list(range(1, 601))
    values = [line["response"]["body"]["items"][0]["dense"]["values"][0] for line in lines]
    assert values == [n + 1.0 for n in range(600)]


async def test_work_of_a_batch_is_bulk_and_of_the_lane_that_was_asked_for(gateway):
    text = json.dumps(request(0))
    body = {"input": text, "endpoint": "/v1/encode", "completion_window": "1h"}
    answer = await gateway.ask("POST", "/v1/batches", body, headers=[("X-SIE-Pool", "p")])
    done = await gateway.until(answer.json["id"], *ENDED)
    assert done["expires_at"] - done["created_at"] == 3600
    (call,) = gateway.inference.calls
    assert call.metadata == {"x-sie-work-class": "bulk", "x-sie-pool": "p"}
    assert call.principal.tenant == "acme"


async def test_a_request_that_fails_is_told_in_the_file_of_errors(gateway):
    bad = request(1, items=[{"txt": "x"}])
    refused = request(2, url="/v1/encode/refused")
    batch = await gateway.begin([request(0), bad, refused, request(3)], endpoint="/v1/encode")
    done = await gateway.until(batch, *ENDED)
    assert done["request_counts"] == {"total": 4, "completed": 2, "failed": 2}
    first, second = await gateway.results(done["error_file_id"])
    assert (first["custom_id"], first["line"], first["response"]["status_code"]) == ("c1", 2, 400)
    assert first["response"]["body"]["error"]["metadata"]["field"] == "items[0].txt"
    assert second["response"]["body"]["error"]["code"] == "INVALID_INPUT"
    assert [each["line"] for each in await gateway.results(done["output_file_id"])] == [1, 4]


async def test_a_request_that_may_succeed_later_is_made_again(gateway):
    inference = gateway.inference

    async def busy(_model):
        if len(inference.calls) < 3:
            reason = ErrorReason.ERROR_REASON_QUEUE_FULL
            raise SieError(reason, "full", retry_after_s=0.05, pool="p")

    inference._misbehave = busy
    done = await gateway.until(await gateway.begin([request(0)]), *ENDED)
    assert done["request_counts"]["completed"] == 1
    assert len(inference.calls) == 3


BAD_INPUTS = {
    "no JSON": ("{", "line"),
    "no object": ("[]", "line"),
    "no id": ({"method": "POST", "url": ENCODE, "body": {}}, "custom_id"),
    "number for an id": (request(0) | {"custom_id": 7}, "custom_id"),
    "long id": (request(0) | {"custom_id": "x" * 513}, "custom_id"),
    "other method": (request(0) | {"method": "GET"}, "method"),
    "other url": (request(0) | {"url": "/v1/score/org/model"}, "url"),
    "url beside": (request(0) | {"url": ENCODE + "2"}, "url"),
    "no body": (request(0) | {"body": "x"}, "body"),
    "unknown field": (request(0) | {"boddy": {}}, "boddy"),
    "same id": (request(9), "custom_id"),
    "long line": (request(0, items=[{"text": "x" * 20_000}]), ""),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
async def test_an_input_that_cannot_be_used_fails_by_line_and_field(gateway, case):
    bad, field = BAD_INPUTS[case]
    bad = bad if isinstance(bad, str) else json.dumps(bad)
    text = "\n".join([json.dumps(request(9)), "", bad])
    body = {"input": text, "endpoint": ENCODE}
    answer = await gateway.ask("POST", "/v1/batches", body)
    done = await gateway.until(answer.json["id"], *ENDED)
    assert done["status"] == "failed"
    (error,) = done["errors"]["data"]
    assert (error["line"], error.get("param", "")) == (3, field)
    assert not gateway.inference.calls


async def test_an_input_without_requests_or_with_too_many_fails(client, gateway):
    done = await gateway.until(await gateway.begin([]), *ENDED)
    assert done["errors"]["data"][0]["message"] == "input: has no requests"
    lines = [request(n) for n in range(1001)]
    done = await gateway.until(await gateway.begin(lines), *ENDED)
    assert "more than 1000" in done["errors"]["data"][0]["message"]


REFUSALS = {
    "no input": ({"endpoint": ENCODE}, 400, "input_file_id"),
    "two inputs": ({"endpoint": ENCODE, "input": "a", "input_uri": "s3://a/b"}, 400, "input_uri"),
    "no endpoint": ({"input": "{}"}, 400, "endpoint"),
    "unknown endpoint": ({"input": "{}", "endpoint": "/v1/chat/completions"}, 400, "endpoint"),
    "endpoint that creates": ({"input": "{}", "endpoint": "/v1/pools"}, 400, "endpoint"),
    "window": (
        {"input": "{}", "endpoint": ENCODE, "completion_window": "soon"},
        400,
        "completion_window",
    ),
    "long window": (
        {"input": "{}", "endpoint": ENCODE, "completion_window": "31d"},
        400,
        "completion_window",
    ),
    "notes": ({"input": "{}", "endpoint": ENCODE, "metadata": {"a": "x" * 513}}, 400, "metadata"),
    "many notes": (
        {"input": "{}", "endpoint": ENCODE, "metadata": {str(n): "" for n in range(17)}},
        400,
        "metadata",
    ),
    "unknown file": ({"input_file_id": "file-1", "endpoint": ENCODE}, 404, None),
    "odd file": ({"input_file_id": "../.*.>", "endpoint": ENCODE}, 404, None),
    "no URL": ({"input_uri": "/etc/passwd", "endpoint": ENCODE}, 400, "input_uri"),
    "other scheme": ({"input_uri": "http://a/b", "endpoint": ENCODE}, 400, "input_uri"),
    "elsewhere": ({"input_uri": "file:///etc/passwd", "endpoint": ENCODE}, 403, None),
    "elsewhere out": ({"input": "{}", "output_uri": "s3://other/", "endpoint": ENCODE}, 403, None),
    "unknown field": ({"input": "{}", "endpoint": ENCODE, "inptu": 1}, 400, "inptu"),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_a_batch_that_cannot_begin_is_refused(gateway, case):
    body, status, field = REFUSALS[case]
    answer = await gateway.ask("POST", "/v1/batches", body)
    assert answer.status == status, answer.body
    assert answer.json["error"].get("metadata", {}).get("field") == field


async def test_files_are_uploaded_as_forms_and_read_as_they_are(gateway):
    content = os.urandom(700_000) + b"\r\n--b0undar" + BOUNDARY.encode()[:-1] + b"\r\n"
    answer = await gateway.ask("POST", "/v1/files", form(content), headers=[MULTIPART])
    assert answer.status == 200, answer.body
    file = answer.json
    assert (file["object"], file["bytes"], file["status"]) == ("file", len(content), "processed")
    assert (file["filename"], file["purpose"]) == ("in.jsonl", "batch")
    head = await gateway.ask("HEAD", f"/v1/files/{file['id']}/content")
    assert head.status == 200
    assert await gateway.content(file["id"]) == content
    assert (await gateway.ask("GET", f"/v1/files/{file['id']}")).json == file
    gone = await gateway.ask("DELETE", f"/v1/files/{file['id']}")
    assert gone.json == {"id": file["id"], "object": "file", "deleted": True}
    assert (await gateway.ask("GET", f"/v1/files/{file['id']}")).status == 404
    assert (await gateway.ask("GET", f"/v1/files/{file['id']}/content")).status == 404


BAD_FORMS = {
    "too large": (form(b"x" * 1_000_001), 413, None),
    "other purpose": (form(b"x", purpose="fine-tune"), 400, "purpose"),
    "no file": (b"--b0undary--\r\n", 400, "file"),
    "unknown field": (form(b"x", colour="red"), 400, "colour"),
    "cut off": (form(b"x")[:-10], 400, "body"),
    "no form": (b"{}", 400, "body"),
    "empty": (b"", 400, "body"),
    "no name": (form(b"x", filename=""), 400, "filename"),
    "short life": (form(b"x", **{"expires_after[seconds]": "10"}), 400, "expires_after[seconds]"),
}


@pytest.mark.parametrize("case", BAD_FORMS)
async def test_a_form_that_cannot_be_used_is_refused_and_leaves_nothing(gateway, case):
    body, status, field = BAD_FORMS[case]
    answer = await gateway.ask("POST", "/v1/files", body, headers=[MULTIPART])
    assert answer.status == status, answer.body
    assert answer.json["error"].get("metadata", {}).get("field") == field
    assert (await gateway.ask("GET", "/v1/files")).json["data"] == []


async def test_a_file_may_come_in_parts_and_a_part_twice(gateway):
    first = {"filename": "a", "content": text(b"abc"), "partial": True}
    file = (await gateway.ask("POST", "/v1/files", first)).json
    assert file["status"] == "uploading"
    refused = await gateway.ask(
        "POST", "/v1/batches", {"input_file_id": file["id"], "endpoint": ENCODE}
    )
    assert refused.json["error"]["metadata"]["field"] == "input_file_id"
    path = f"/v1/files/{file['id']}:append"
    rest = {"offset": "3", "content": text(b"de")}
    for _ in range(2):
        answer = await gateway.ask("POST", path, rest)
        assert (answer.json["bytes"], answer.json["status"]) == (5, "processed")
    again = await gateway.ask("POST", path, {"offset": 5, "content": text(b"f")})
    assert again.json["error"]["metadata"]["field"] == "file_id"
    first_part = await gateway.ask("GET", f"/v1/files/{file['id']}:read")
    assert base64.b64decode(first_part.json["content"]) == b"abc"
    assert first_part.json["next_offset"] == 3


async def test_a_tenant_sees_its_own_and_nothing_else(gateway):
    batch = await gateway.begin([request(0)])
    done = await gateway.until(batch, *ENDED)
    files = [done["input_file_id"], done["output_file_id"]]
    for path in (f"/v1/batches/{batch}", *(f"/v1/files/{each}" for each in files)):
        assert (await gateway.ask("GET", path, tenant="other")).status == 404
        assert (await gateway.ask("DELETE", path, tenant="other")).status == 404
        assert (await gateway.ask("GET", path, tenant="nobody")).status == 401
    for path in (f"/v1/files/{files[0]}/content", f"/v1/files/{files[1]}:read"):
        assert (await gateway.ask("GET", path, tenant="other")).status == 404
        assert (await gateway.ask("GET", path, tenant="nobody")).status == 401
    cancel = await gateway.ask("POST", f"/v1/batches/{batch}/cancel", tenant="other")
    assert cancel.status == 404
    body = {"input_file_id": files[0], "endpoint": ENCODE}
    assert (await gateway.ask("POST", "/v1/batches", body, tenant="other")).status == 404
    for path in ("/v1/batches", "/v1/files"):
        assert (await gateway.ask("GET", path, tenant="other")).json["data"] == []
    unknown = await gateway.ask("POST", "/v1/files", form(b"x"), "nobody", [MULTIPART])
    assert unknown.status == 401


async def test_lists_have_pages_with_the_newest_first(gateway):
    made = [await gateway.begin([request(0)]) for _ in range(3)]
    page = (await gateway.ask("GET", "/v1/batches?limit=2")).json
    assert [each["id"] for each in page["data"]] == made[:0:-1]
    assert page["has_more"]
    rest = (await gateway.ask("GET", f"/v1/batches?limit=2&after={page['last_id']}")).json
    assert [each["id"] for each in rest["data"]] == made[:1]
    assert not rest["has_more"]
    for each in made:
        await gateway.until(each, *ENDED)
    inputs = (await gateway.ask("GET", "/v1/files?purpose=batch&limit=2")).json
    assert (len(inputs["data"]), inputs["has_more"]) == (2, True)
    outputs = (await gateway.ask("GET", "/v1/files?purpose=batch_output")).json
    assert (len(outputs["data"]), outputs["has_more"]) == (3, False)


async def test_a_batch_whose_record_cannot_be_read_keeps_no_other_from_its_turn(client, gateway):
    records, bad = Records(client), Key("batch", "acme", new_id("batch_"))
    await records.create(bad, b"\xff")
    await records.create(bad._replace(kind="active"), b"")
    batch = await gateway.begin([request(0)])
    assert (await gateway.until(batch, *ENDED))["status"] == "completed"
    assert not gateway.running.done()


async def test_what_a_tenant_may_keep_is_bounded_and_deleting_makes_room(client, place):
    async with Gateway(client, "gw", [place], EchoInference(), tenant_bytes=2500) as gateway:

        async def upload(content, tenant="acme"):
            body = form(content)
            return await gateway.ask("POST", "/v1/files", body, tenant, headers=[MULTIPART])

        first, second = [await upload(b"x" * 1000) for _ in range(2)]
        begun = {"filename": "a", "content": text(b"x" * 1000), "partial": True}
        inline = {"input": "x" * 1000, "endpoint": ENCODE}
        refused = [
            await upload(b"x" * 1000),
            await gateway.ask("POST", "/v1/files", begun),
            await gateway.ask("POST", "/v1/batches", inline),
        ]
        assert [(first.status, second.status), *(each.status for each in refused)] == [
            (200, 200),
            429,
            429,
            429,
        ]
        assert refused[1].json["error"]["metadata"] == {"tenant": "acme", "limit": "file_bytes"}
        assert (await upload(b"x" * 1000, "other")).status == 200
        await gateway.ask("DELETE", f"/v1/files/{first.json['id']}")
        assert (await upload(b"x" * 1000)).status == 200


async def test_a_file_that_nobody_completes_goes_sooner(gateway):
    def life(answer):
        file = answer.json
        return file["expires_at"] - file["created_at"]

    first = {"filename": "a", "content": text(b"abc"), "partial": True}
    begun = await gateway.ask("POST", "/v1/files", first)
    rest = {"offset": 3, "content": text(b"d")}
    ended = await gateway.ask("POST", f"/v1/files/{begun.json['id']}:append", rest)
    assert 86400 <= life(begun) < 2 * 86400
    assert life(ended) == 30 * 86400


async def test_input_and_output_may_be_elsewhere(gateway, tmp_path):
    folder = tmp_path / "place" / "acme"
    folder.mkdir(parents=True)
    (folder / "in.jsonl").write_text("\n".join(json.dumps(request(n)) for n in range(3)))
    (folder / "link.jsonl").symlink_to("/etc/passwd")
    place = f"file://{folder}"
    body = {"input_uri": f"{place}/in.jsonl", "output_uri": f"{place}/out/", "endpoint": ENCODE}
    batch = (await gateway.ask("POST", "/v1/batches", body)).json["id"]
    done = await gateway.until(batch, *ENDED)
    assert done["status"] == "completed", done
    written = (folder / "out" / f"{batch}_output.jsonl").read_bytes()
    assert written == await gateway.content(done["output_file_id"])
    for name, status in (
        ("../other/in.jsonl", 403),
        ("link.jsonl", 403),
        ("a//b", 403),
        ("missing.jsonl", 201),
    ):
        body = {"input_uri": f"{place}/{name}", "endpoint": ENCODE}
        assert (await gateway.ask("POST", "/v1/batches", body)).status == status, name
    other = await gateway.ask(
        "POST", "/v1/batches", {"input_uri": f"{place}/in.jsonl", "endpoint": ENCODE}, "other"
    )
    assert other.status == 403
    (missing, *_) = (await gateway.ask("GET", "/v1/batches?limit=1")).json["data"]
    failed = await gateway.until(missing["id"], *ENDED)
    assert failed["errors"]["data"][0]["param"] == "input_uri"


async def test_a_batch_that_is_cancelled_keeps_what_is_done(client, place):
    inference = SlowInference()
    async with Gateway(client, "gw", [place], inference, jobs=1) as gateway:
        lines = [request(0, url="/v1/encode/quick"), *(request(n) for n in range(1, 300))]
        batch = await gateway.begin(lines, endpoint="/v1/encode")
        waiting = await gateway.begin([request(0)])
        await asyncio.wait_for(inference.called.wait(), 5)
        answer = await gateway.ask("POST", f"/v1/batches/{batch}/cancel")
        assert answer.json["status"] == "cancelling"
        unbegun = await gateway.ask("POST", f"/v1/batches/{waiting}/cancel")
        assert unbegun.json["status"] == "cancelled"
        ended = "sie_gateway_batches_ended_total"
        assert gateway.registry.get_sample_value(ended, {"status": "cancelled"}) == 1
        assert (await gateway.ask("DELETE", f"/v1/batches/{waiting}")).json["deleted"]
        held = await gateway.ask("DELETE", f"/v1/batches/{batch}")
        assert (held.status, held.json["error"]["code"]) == (409, "IN_USE")
        file_id = answer.json["input_file_id"]
        assert (await gateway.ask("DELETE", f"/v1/files/{file_id}")).status == 409
        await asyncio.sleep(0.5)
        inference.open.set()
        done = await gateway.until(batch, *ENDED)
        assert done["status"] == "cancelled"
        assert 1 <= done["request_counts"]["completed"] < 300
        count = len(await gateway.results(done["output_file_id"]))
        assert count == done["request_counts"]["completed"]
        again = await gateway.ask("POST", f"/v1/batches/{batch}/cancel")
        assert again.json["status"] == "cancelled"
        gone = await gateway.ask("DELETE", f"/v1/batches/{batch}")
        assert gone.json["deleted"]
        assert (await gateway.ask("GET", f"/v1/batches/{batch}")).status == 404


async def test_a_batch_without_workers_keeps_no_other_waiting_and_is_cancelled_at_once(
    client, place
):
    inference = EchoInference()

    async def without_workers(model):
        if model == MODEL:
            reason = ErrorReason.ERROR_REASON_PROVISIONING
            raise SieError(reason, "no worker", retry_after_s=30.0)

    inference._misbehave = without_workers
    async with Gateway(client, "gw", [place], inference, jobs=1, lease_s=2) as gateway:
        stalled = await gateway.begin([request(n) for n in range(3)])
        await asyncio.wait_for(inference.called.wait(), 5)
        done = await gateway.until(
            await gateway.begin([request(0, url="/v1/encode/x")], "/v1/encode"), *ENDED
        )
        assert done["status"] == "completed"
        await gateway.ask("POST", f"/v1/batches/{stalled}/cancel")
        done = await gateway.until(stalled, *ENDED)
        assert done["status"] == "cancelled"
        assert len(await gateway.results(done["error_file_id"])) == 3


async def test_a_batch_whose_window_passes_says_what_was_not_computed(client, place):
    inference = SlowInference()
    async with Gateway(client, "gw", [place], inference) as gateway:
        lines = [request(n) for n in range(100)]
        batch = await gateway.begin(lines, completion_window="1s")
        await asyncio.wait_for(inference.called.wait(), 5)
        await asyncio.sleep(1.1)
        inference.open.set()
        done = await gateway.until(batch, *ENDED)
        assert done["status"] == "expired"
        completed = done["request_counts"]["completed"]
        assert done["request_counts"] == {
            "total": 100,
            "completed": completed,
            "failed": 100 - completed,
        }
        assert 0 < completed < 100
        left = await gateway.results(done["error_file_id"])
        assert {each["error"]["code"] for each in left} == {"batch_expired"}
        assert [each["line"] for each in left] == list(range(completed + 1, 101))


async def test_a_batch_goes_on_where_a_gateway_that_ends_has_left_it(client, place):
    inference = SlowInference()
    async with Gateway(client, "one", [place], inference, lease_s=60) as one:
        quick = [request(n, url="/v1/encode/quick") for n in range(300)]
        slow = [request(n) for n in range(300, 400)]
        batch = await one.begin([*quick, *slow], endpoint="/v1/encode")
        async with asyncio.timeout(10):
            while (await one.status(batch))["request_counts"]["completed"] < 256:
                await asyncio.sleep(0.05)
    made = len(inference.calls)
    async with Gateway(client, "two", [place], EchoInference(), lease_s=60) as two:
        done = await two.until(batch, *ENDED)
        assert done["status"] == "completed"
        # What was committed is not computed again.
        assert len(two.inference.calls) == 400 - 256
        assert made >= 256
        lines = await two.results(done["output_file_id"])
        assert [line["custom_id"] for line in lines] == [f"c{n}" for n in range(400)]


async def test_a_batch_of_a_gateway_that_is_silent_goes_to_another(client, place):
    inference = SlowInference()
    # One shows that it lives every fifteen seconds, which the other does not wait for.
    async with Gateway(client, "one", [place], inference, lease_s=60) as one:
        batch = await one.begin([request(n) for n in range(300)])
        await asyncio.wait_for(inference.called.wait(), 5)
        async with Gateway(client, "two", [place], EchoInference(), lease_s=0.6) as two:
            done = await two.until(batch, *ENDED)
            assert done["status"] == "completed"
            # The first one finds out when it has its results, and writes none of them.
            inference.open.set()
            await asyncio.sleep(0.5)
            assert await two.status(batch) == done
            lines = await two.results(done["output_file_id"])
            assert [line["custom_id"] for line in lines] == [f"c{n}" for n in range(300)]


async def test_files_may_be_kept_in_a_directory(client, place, tmp_path):
    store = f"file://{tmp_path}/files"
    async with Gateway(client, "gw", [place], EchoInference(), store=store) as gateway:
        done = await gateway.until(await gateway.begin([request(0)]), *ENDED)
        assert len(await gateway.results(done["output_file_id"])) == 1
        assert len(list((tmp_path / "files" / "files").iterdir())) == 2


async def test_a_batch_waits_while_its_results_cannot_be_kept(client, place, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "_POSTPONED_S", 0.2)
    store = tmp_path / "files"
    inference = SlowInference()
    async with Gateway(client, "gw", [place], inference, store=f"file://{store}") as gateway:
        batch = await gateway.begin([request(0)])
        await asyncio.wait_for(inference.called.wait(), 5)
        # What is no directory takes no files.
        store.rename(tmp_path / "aside")
        store.touch()
        inference.open.set()
        await asyncio.sleep(0.5)
        assert (await gateway.status(batch))["status"] == "in_progress"
        store.unlink()
        (tmp_path / "aside").rename(store)
        done = await gateway.until(batch, *ENDED)
        assert done["status"] == "completed"
        assert done["request_counts"] == {"total": 1, "completed": 1, "failed": 0}


async def test_metrics_tell_what_waits_what_runs_and_what_became_of_it(client, place):
    slow = SlowInference()
    async with Gateway(client, "gw", [place], slow, jobs=1) as gateway:

        def value(name, **labels):
            return gateway.registry.get_sample_value(f"sie_gateway_{name}", labels)

        assert value("batches_unended") == value("batch_oldest_age_seconds") == 0
        bad = request(1, items=[{"txt": "x"}])
        batches = [await gateway.begin([request(0), bad]), await gateway.begin([request(0)])]
        await gateway.until(batches[0], "in_progress")
        async with asyncio.timeout(15):
            while value("batches_unended") != 2 or not value("batch_oldest_age_seconds"):
                await asyncio.sleep(0.05)
        assert value("batches_running", status="in_progress") == 1
        assert value("batches_running", status="validating") == 0
        slow.open.set()
        done = [await gateway.until(batch, *ENDED) for batch in batches]
        ids = [
            each[kind]
            for each in done
            for kind in ("output_file_id", "error_file_id")
            if kind in each
        ]
        written = sum([len(await gateway.content(file_id)) for file_id in ids])
        async with asyncio.timeout(15):
            while value("batches_unended"):
                await asyncio.sleep(0.05)
    assert value("batches_ended_total", status="completed") == 2
    assert value("batches_ended_total", status="cancelled") == 0
    assert value("batch_requests_total", outcome="completed") == 2
    assert value("batch_requests_total", outcome="failed") == 1
    assert value("batch_bytes_total", direction="output") == written
    sent = sum(len(json.dumps(each)) + 1 for each in (request(0), bad, request(0)))
    assert value("batch_bytes_total", direction="input") in range(sent - 2, sent + 1)
    assert value("batches_running", status="in_progress") == 0
