"""The HTTP face through a real server and raw sockets."""

import asyncio
import gzip

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.http.server import HttpServer
from tests.unit.gateway.http_client import ask, connect, raw_request, read_answer
from tests.unit.gateway.support import MAX_REQUEST_BYTES

ONE = b'{"items":[{"text":"Hello world"}]}'
ENCODE = "/v1/encode/org/model"


async def test_an_encode_call_is_transcoded(http_port):
    answer = await ask(http_port, "POST", ENCODE, ONE)
    assert answer.status == 200
    assert answer.json == {
        "model": "org/model",
        "items": [
            {
                "dense": {"dims": 2, "dtype": "float32", "values": [11.0, 0.1]},
                "input_tokens": 11,
                "truncated": False,
            }
        ],
    }
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-sie-server-version"] == "1.2.3"
    assert answer.headers["x-sie-worker"] == "worker-1"
    assert len(answer.headers["x-sie-request-id"]) == 36


async def test_a_response_body_is_its_field(http_port):
    answer = await ask(http_port, "GET", "/v1/models/org/model")
    assert answer.json["name"] == "org/model"


async def test_query_parameters_are_bound(http_port):
    answer = await ask(http_port, "GET", "/v1/models?page_size=7")
    assert answer.json["next_page_token"] == "7"


@pytest.mark.parametrize("body", [b"", b"{}"])
async def test_a_route_without_a_body_takes_an_empty_one(http_port, body):
    answer = await ask(http_port, "POST", "/v1/pools/p/renew", body)
    assert (answer.status, answer.json["pool"]["spec"]["name"]) == (200, "p")


@pytest.mark.parametrize("given", ["abc-123", "x" * 128])
async def test_a_sane_request_id_is_kept(http_port, inference, given):
    answer = await ask(http_port, "POST", ENCODE, ONE, [("X-Request-Id", given)])
    assert answer.headers["x-sie-request-id"] == given
    assert inference.calls[0].request_id == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "é"])
async def test_another_request_id_is_replaced(http_port, given):
    answer = await ask(http_port, "POST", ENCODE, ONE, [("X-SIE-Request-Id", given)])
    assert answer.headers["x-sie-request-id"] != given


REFUSALS = [
    ("POST", "/v1/nope", b"", [], 404, "ROUTE_NOT_FOUND"),
    ("GET", "/v1/models/", b"", [], 404, "ROUTE_NOT_FOUND"),
    ("GET", ENCODE, b"", [], 405, "METHOD_NOT_ALLOWED"),
    ("POST", "/healthz", b"", [], 405, "METHOD_NOT_ALLOWED"),
    ("OPTIONS", ENCODE, b"", [], 405, "METHOD_NOT_ALLOWED"),
    ("POST", ENCODE, b"{", [], 400, "INVALID_INPUT"),
    ("POST", ENCODE, b"[]", [], 400, "INVALID_INPUT"),
    ("POST", ENCODE, b"\xff\xfe", [], 400, "INVALID_INPUT"),
    ("POST", ENCODE, b'{"itms":[]}', [], 400, "INVALID_INPUT"),
    ("POST", ENCODE + "?a=1", ONE, [], 400, "INVALID_INPUT"),
    ("GET", "/v1/models?page_size=-1", b"", [], 400, "INVALID_INPUT"),
    ("POST", "/v1/encode/%ff", ONE, [], 400, "INVALID_INPUT"),
    ("POST", ENCODE, ONE, [("Content-Type", "text/plain")], 415, "UNSUPPORTED_MEDIA_TYPE"),
    ("POST", ENCODE, ONE, [("Content-Type", "application/xml")], 415, "UNSUPPORTED_MEDIA_TYPE"),
    ("POST", ENCODE, ONE, [("Content-Encoding", "br")], 415, "UNSUPPORTED_MEDIA_TYPE"),
    ("POST", ENCODE, ONE, [("Content-Encoding", "gzip")], 400, "INVALID_INPUT"),
    (
        "POST",
        ENCODE,
        b"2\r\n{}\r\n0\r\n\r\n",
        [("Transfer-Encoding", "gzip, chunked")],
        415,
        "UNSUPPORTED_MEDIA_TYPE",
    ),
    ("POST", ENCODE, ONE, [("X-Request-Timeout", "soon")], 400, "INVALID_INPUT"),
    ("POST", ENCODE, ONE, [("X-Request-Timeout", "nan")], 400, "INVALID_INPUT"),
    ("POST", ENCODE, ONE, [("X-Request-Timeout", "0")], 400, "INVALID_INPUT"),
    ("POST", ENCODE, ONE, [("X-Request-Timeout", "inf")], 400, "INVALID_INPUT"),
    ("POST", "/v1/extract/m", b"{}", [], 501, "NOT_IMPLEMENTED"),
    ("POST", "/v1/encode/slow", ONE, [("X-Request-Timeout", "0.05")], 504, "DEADLINE_EXCEEDED"),
    ("POST", "/v1/encode/refused", ONE, [], 400, "INVALID_INPUT"),
    ("POST", "/v1/encode/broken", ONE, [], 500, "INTERNAL_ERROR"),
]


@pytest.mark.parametrize(("method", "path", "body", "headers", "status", "code"), REFUSALS)
async def test_a_bad_request_has_one_typed_error(
    http_port, method, path, body, headers, status, code
):
    answer = await ask(http_port, method, path, body, headers)
    assert (answer.status, answer.json["error"]["code"]) == (status, code)
    assert answer.json["detail"] == {"code": code, "message": answer.json["error"]["message"]}
    assert answer.json["error"]["request_id"] == answer.headers["x-sie-request-id"]
    assert answer.headers["x-sie-error-code"] == code
    assert b"secret" not in answer.body


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "text/json",
        "application/x-www-form-urlencoded",
        "APPLICATION/JSON",
    ],
)
async def test_the_ways_to_say_json_are_read(http_port, content_type):
    answer = await ask(http_port, "POST", ENCODE, ONE, [("Content-Type", content_type)])
    assert answer.status == 200


@pytest.mark.parametrize(
    "name",
    ["authorization", "content-type", "host", "idempotency-key", "x-request-timeout", "x-sie-pool"],
)
async def test_a_header_of_one_meaning_is_given_once(http_port, name):
    twice = [(name, "application/json"), (name.title(), "application/json")]
    answer = await ask(http_port, "POST", ENCODE, ONE, twice)
    error = answer.json["error"]
    assert (answer.status, error["code"]) == (400, "INVALID_INPUT")
    assert (error["metadata"], error["message"]) == (
        {"field": name},
        f"{name}: must be given once",
    )


async def test_blanks_around_a_header_are_no_part_of_it(http_port):
    answer = await ask(http_port, "POST", ENCODE, ONE, [("X-Request-Timeout", " \t10 \t")])
    assert answer.status == 200, answer.body


async def test_a_header_that_is_a_list_may_come_in_parts(http_port, inference):
    parts = [("Accept", "text/html"), ("accept", "application/json"), ("via", "a"), ("via", "b")]
    assert (await ask(http_port, "POST", ENCODE, ONE, parts)).status == 200
    assert inference.calls[0].metadata["accept"] == "text/html, application/json"


async def test_a_405_names_the_methods(http_port):
    assert (await ask(http_port, "PUT", "/v1/pools")).headers["allow"] == "GET, HEAD, POST"


async def test_the_path_of_the_websocket_asks_for_an_upgrade(http_port):
    answer = await ask(http_port, "GET", "/ws/cluster-status")
    assert (answer.status, answer.json["error"]["code"]) == (426, "UPGRADE_REQUIRED")
    assert answer.json["error"]["metadata"] == {"path": "/ws/cluster-status"}
    assert (answer.headers["upgrade"], answer.headers["connection"]) == ("websocket", "upgrade")
    assert (await ask(http_port, "HEAD", "/ws/cluster-status")).status == 426
    assert (await ask(http_port, "POST", "/ws/cluster-status")).status == 405


async def test_head_answers_as_get_without_the_body(http_port):
    answer = await ask(http_port, "HEAD", "/v1/models")
    assert answer.status == 200
    assert int(answer.headers["content-length"]) > 0


async def test_provisioning_is_a_202_with_a_delay(http_port):
    answer = await ask(http_port, "POST", "/v1/encode/cold", ONE)
    assert (answer.status, answer.headers["retry-after"]) == (202, "5")
    shown = {key: answer.json[key] for key in ("status", "gpu", "bundle", "estimated_wait_s")}
    assert shown == {
        "status": "provisioning",
        "gpu": "l4",
        "bundle": "default",
        "estimated_wait_s": 180,
    }


async def test_an_unknown_gpu_lists_those_there_are(http_port):
    answer = await ask(http_port, "POST", "/v1/encode/h100", ONE)
    assert (answer.status, answer.json["status"]) == (503, "gpu_not_configured")
    assert answer.json["configured_gpu_types"] == ["l4", "a100-80gb"]
    assert "retry-after" not in answer.headers


class TestBodyLimit:
    async def test_a_declared_length_is_refused_before_it_is_read(self, http_port):
        async with connect(http_port) as (reader, writer):
            length = MAX_REQUEST_BYTES + 1
            writer.write(f"POST {ENCODE} HTTP/1.1\r\nHost: a\r\n".encode())
            writer.write(f"Content-Length: {length}\r\n\r\n".encode())
            answer = await asyncio.wait_for(read_answer(reader), 30)
            assert (answer.status, answer.headers["connection"]) == (413, "close")
            assert answer.json["error"]["metadata"] == {"limit_bytes": str(MAX_REQUEST_BYTES)}

    async def test_a_chunked_upload_is_cut_off(self, http_port):
        async with connect(http_port) as (reader, writer):
            writer.write(raw_request("POST", ENCODE, b"", [("Transfer-Encoding", "chunked")]))
            for _ in range(MAX_REQUEST_BYTES // 4096 + 1):
                writer.write(b"1000\r\n" + b" " * 4096 + b"\r\n")
            answer = await asyncio.wait_for(read_answer(reader), 30)
            assert answer.status == 413

    async def test_a_chunked_upload_within_the_limit_is_read(self, http_port):
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (ONE[:5], ONE[5:]))
        headers = [("Transfer-Encoding", "chunked")]
        answer = await ask(http_port, "POST", ENCODE, chunks + b"0\r\n\r\n", headers)
        assert answer.status == 200

    async def test_gzip_is_inflated(self, http_port):
        headers = [("Content-Encoding", "gzip")]
        answer = await ask(http_port, "POST", ENCODE, gzip.compress(ONE), headers)
        assert answer.status == 200

    async def test_a_gzip_bomb_stops_at_the_limit(self, http_port):
        bomb = gzip.compress(b" " * (MAX_REQUEST_BYTES * 20))
        assert len(bomb) < MAX_REQUEST_BYTES
        answer = await ask(http_port, "POST", ENCODE, bomb, [("Content-Encoding", "gzip")])
        assert answer.status == 413

    async def test_a_body_of_exactly_the_limit_is_read(self, http_port):
        body = ONE + b" " * (MAX_REQUEST_BYTES - len(ONE))
        assert (await ask(http_port, "POST", ENCODE, body)).status == 200


async def test_pipelined_requests_are_answered_in_order(http_port):
    async with connect(http_port) as (reader, writer):
        paths = [f"/v1/encode/m{index}" for index in range(5)]
        writer.write(b"".join(raw_request("POST", path, ONE) for path in paths))
        answers = [await asyncio.wait_for(read_answer(reader), 30) for _ in paths]
    assert [answer.json["model"] for answer in answers] == ["m0", "m1", "m2", "m3", "m4"]


async def test_a_client_that_leaves_cancels_its_call(http_port, inference, registry):
    async with connect(http_port) as (_, writer):
        writer.write(raw_request("POST", "/v1/encode/slow", ONE))
        await writer.drain()
        await inference.called.wait()
    await asyncio.wait_for(inference.cancelled.wait(), 30)
    labels = {"endpoint": "encode", "status": "499", "machine_profile": "default"}
    assert registry.get_sample_value("sie_gateway_requests_total", labels) == 1


async def test_a_client_that_leaves_during_its_upload_is_no_failure_of_ours(http_port, registry):
    async with connect(http_port) as (_, writer):
        writer.write(f"POST {ENCODE} HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\nab".encode())
        await writer.drain()
        await asyncio.sleep(0.02)
    labels = {"endpoint": "encode", "status": "499", "machine_profile": "default"}
    async with asyncio.timeout(30):
        while registry.get_sample_value("sie_gateway_requests_total", labels) != 1:
            await asyncio.sleep(0.005)


async def test_probes_tell_the_state(http_port, readiness):
    assert (await ask(http_port, "GET", "/healthz")).json == {"status": "ok"}
    ready = await ask(http_port, "GET", "/readyz")
    assert (ready.status, ready.json) == (200, {"status": "ready", "healthy_workers": 0})
    readiness.reasons.append("the broker is away")
    unready = await ask(http_port, "GET", "/readyz")
    assert (unready.status, unready.json["reasons"]) == (503, ["the broker is away"])


async def test_a_process_that_takes_no_new_calls_is_not_ready(http_port, api):
    await api.drain(0)
    unready = await ask(http_port, "GET", "/readyz")
    assert (unready.status, unready.json["reasons"]) == (503, ["the process is shutting down"])
    assert (await ask(http_port, "GET", "/healthz")).status == 200


async def test_metrics_count_calls_with_known_labels_only(http_port):
    for profile in ("l4", "made-up"):
        await ask(http_port, "POST", ENCODE, ONE, [("X-SIE-MACHINE-PROFILE", profile)])
    await ask(http_port, "POST", ENCODE, b"{")
    text = (await ask(http_port, "GET", "/metrics")).body.decode()
    for line in (
        '{endpoint="encode",machine_profile="l4",status="200"} 1.0',
        '{endpoint="encode",machine_profile="default",status="200"} 1.0',
        '{endpoint="encode",machine_profile="default",status="400"} 1.0',
    ):
        assert "sie_gateway_requests_total" + line in text
    assert "made-up" not in text


async def test_a_taken_port_is_a_clear_error(http_face, http_port):
    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{http_port}"):
        await HttpServer(http_face, "127.0.0.1", http_port).start()


async def test_stopping_lets_a_call_finish(http_face, inference):
    server = HttpServer(http_face, "127.0.0.1", 0)
    port = await server.start()
    headers = [("X-Request-Timeout", "0.3")]
    call = asyncio.create_task(ask(port, "POST", "/v1/encode/slow", ONE, headers))
    await inference.called.wait()
    await server.stop(5)
    assert (await call).status == 504


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(["/v1/encode/", "/v1/models/", "/v1/models?", "/v1/pools/", "/", ""]),
    tail=st.binary(max_size=20).map(
        lambda raw: bytes(byte for byte in raw if byte not in b" \r\n\0")
    ),
    method=st.sampled_from(["GET", "POST", "DELETE", "HEAD"]),
    body=st.binary(max_size=60) | st.sampled_from([ONE, b'{"items":[{}]}', b'{"items":9}']),
)
async def test_no_bytes_make_the_server_fail(http_face, path, tail, method, body):
    status = await _status(http_face, method, path.encode() + tail, body)
    assert status < 500 or status == 501


async def _status(app, method, target, body):
    """Straight into the application: uvicorn's own 400s are not in question here."""
    raw_path, _, query = target.partition(b"?")
    scope = {
        "type": "http",
        "method": method,
        "raw_path": raw_path,
        "query_string": query,
        "path": raw_path.decode("latin-1"),
        "headers": [(b"content-type", b"application/json")],
    }
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(event):
        sent.append(event)

    await app(scope, receive, send)
    return sent[0]["status"]


async def test_arbitrary_requests_never_get_a_5xx_from_a_socket(http_port):
    import random

    chance = random.Random(7)
    for _ in range(200):
        junk = chance.randbytes(chance.randrange(60)).replace(b"\r", b"")
        line = chance.choice([b"POST /v1/encode/", b"GET /", b"GET /v1/models?", b""]) + junk
        async with connect(http_port) as (reader, writer):
            writer.write(line + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
            writer.write_eof()
            first = await asyncio.wait_for(reader.readline(), 30)
        assert not first or int(first.split()[1]) < 500, line
    assert (await ask(http_port, "GET", "/healthz")).status == 200
