"""Both clients against a real HTTP server that answers, fails, dawdles and hangs up."""

import logging
import socket
import time

import msgpack
import numpy as np
import pytest

from sie_sdk import Item, SIEClient, errors
from sie_sdk._http.arrays import pack
from tests.unit.sdk.conftest import HEALTH, MSGPACK, RESET, answer, refusal, vectors


def test_one_item_gives_one_result_and_several_a_list(gateway, ask):
    result = ask(gateway.url, "encode", "org/model", Item(text="hello"), gpu="l4")
    assert result["dense"].shape == (2,)
    assert result["dense"].dtype == np.float32
    assert result["timing"] == {"total_ms": 1.0}
    results = ask(gateway.url, "encode", "org/model", ["a", {"text": "bb"}])
    assert [each["dense"][0] for each in results] == [1, 2]


def test_a_request_says_what_the_contract_says(gateway, ask):
    options = {"api_key": "secret", "options": {"a": 1, "b": 1}, "headers": {"X-Mine": "1"}}
    ask(
        gateway.url + "/",
        "encode",
        "org/model",
        "hello",
        client_options=options,
        gpu="tenant-abc/l4",
        is_query=True,
        output_types=("dense",),
        output_dtype="int8",
        options={"b": 2},
        timeout_s=7,
        work_class="bulk",
    )
    (request,) = gateway.requests
    assert (request["method"], request["path"]) == ("POST", "/v1/encode/org/model")
    body = msgpack.unpackb(request["body"])
    assert body["items"] == [{"text": "hello"}]
    assert body["params"] == {
        "is_query": True,
        "output_types": ["dense"],
        "output_dtype": "int8",
        "options": {"a": 1, "b": 2},
    }
    headers = request["headers"]
    assert headers["content-type"] == headers["accept"] == MSGPACK
    assert headers["authorization"] == "Bearer secret"
    assert (headers["x-sie-pool"], headers["x-sie-machine-profile"]) == ("tenant-abc", "l4")
    assert (headers["x-sie-work-class"], headers["x-mine"]) == ("bulk", "1")
    assert headers["x-request-timeout"] == "7.000"
    assert headers["x-sie-sdk-version"]


def test_capacity_is_waited_for(gateway, ask):
    gateway.script = [
        refusal(202, "PROVISIONING", retry_after=0.05),
        refusal(503, "MODEL_LOADING", retry_after=0.05),
    ]
    assert ask(gateway.url, "encode", "m", "x")["dense"][0] == 1
    assert len(gateway.requests) == 3


def test_capacity_that_comes_sooner_is_noticed_sooner(gateway, ask, monkeypatch):
    monkeypatch.setattr("sie_sdk._core.capacity._LOOK_EVERY_S", 0.05)
    refused = {"code": "PROVISIONING", "message": "no", "metadata": {"gpu": "l4"}}
    gateway.script = [
        answer(202, {"error": refused}, retry_after=120),
        answer(200, {"workers": [{"gpu": "cpu", "healthy": True}]}),
        answer(200, {"workers": [{"gpu": "l4", "healthy": False}]}),
        answer(200, HEALTH),
    ]
    started = time.monotonic()
    ask(gateway.url, "encode", "m", "x")
    assert time.monotonic() - started < 20
    assert [each["path"] for each in gateway.requests] == [
        "/v1/encode/m",
        *["/health"] * 3,
        "/v1/encode/m",
    ]


def test_who_does_not_wait_is_told_with_the_hint(gateway, ask):
    gateway.always = answer(202, {"gpu": "l4", "message": "soon"}, retry_after=120)
    with pytest.raises(errors.ProvisioningError) as caught:
        ask(gateway.url, "encode", "m", "x", wait_for_capacity=False)
    assert (caught.value.gpu, caught.value.retry_after) == ("l4", 120)


def test_the_budget_bounds_all_attempts(gateway, ask):
    gateway.always = refusal(503, "QUEUE_FULL", retry_after=0.4)
    started = time.monotonic()
    with pytest.raises(errors.ServerError, match="QUEUE_FULL"):
        ask(gateway.url, "encode", "m", "x", provision_timeout_s=2)
    assert 1 <= time.monotonic() - started < 10
    assert 3 <= len(gateway.requests) <= 6


@pytest.mark.parametrize(
    ("reply", "error", "code"),
    [
        (refusal(404, "MODEL_NOT_FOUND"), errors.RequestError, "MODEL_NOT_FOUND"),
        (refusal(429, "QUOTA_EXCEEDED", retry_after=3), errors.RequestError, "QUOTA_EXCEEDED"),
        (refusal(502, "MODEL_LOAD_FAILED"), errors.ModelLoadFailedError, "MODEL_LOAD_FAILED"),
        (answer(500, b"<html>oops"), errors.ServerError, None),
        (answer(400, {"detail": "bad"}), errors.RequestError, None),
        (answer(400, {"message": "bad"}), errors.RequestError, None),
        (
            answer(503, {"status": "gpu_not_configured", "message": "no h100"}),
            errors.ServerError,
            "GPU_NOT_CONFIGURED",
        ),
        (answer(200, b"\xc1", MSGPACK), errors.ServerError, None),
        (answer(200, pack({"items": []}), MSGPACK), errors.ServerError, "UNREADABLE_REPLY"),
        (answer(302, b"", location="http://127.0.0.1:1/"), errors.RequestError, None),
    ],
)
def test_errors_have_types_and_codes(gateway, ask, reply, error, code):
    gateway.always = reply
    with pytest.raises(error) as caught:
        ask(gateway.url, "encode", "m", "x")
    assert type(caught.value) is error
    assert caught.value.code == code
    assert caught.value.message
    assert len(gateway.requests) == 1


def test_a_failed_item_keeps_its_place_and_alone_it_raises(gateway, ask):
    error = {"code": "INVALID_INPUT", "message": "too long", "metadata": {"field": "items[0]"}}
    failed = {"id": "b", "error": error}

    def reply(request):
        items = msgpack.unpackb(request["body"])["items"]
        good = {"id": "a", "dense": {"values": np.zeros(2, "<f4")}}
        return answer(200, pack({"items": [good, failed][-len(items) :]}), MSGPACK)

    gateway.always = reply
    first, second = ask(gateway.url, "encode", "m", ["x", "y"])
    assert (first["id"], second["id"], second["error"]["code"]) == ("a", "b", "INVALID_INPUT")
    assert "dense" not in second
    with pytest.raises(errors.RequestError, match="too long") as caught:
        ask(gateway.url, "encode", "m", "y")
    assert caught.value.metadata == {"field": "items[0]"}


def test_a_connection_that_breaks_is_made_again(gateway, ask):
    gateway.script = [RESET]
    assert ask(gateway.url, "encode", "m", "x")["dense"][0] == 1
    gateway.script = [RESET]
    with pytest.raises(errors.SIEConnectionError):
        ask(gateway.url, "encode", "m", "x", wait_for_capacity=False)


def test_nobody_listening(ask):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(errors.SIEConnectionError):
            ask(url, "encode", "m", "x", wait_for_capacity=False)
        started = time.monotonic()
        with pytest.raises(errors.SIEConnectionError):
            ask(url, "encode", "m", "x", provision_timeout_s=2)
        assert time.monotonic() - started > 0.9


def test_no_such_host_is_told_at_once(ask):
    with pytest.raises(errors.SIEConnectionError):
        ask("http://no-such-host.invalid:1", "encode", "m", "x", provision_timeout_s=60)


def test_a_server_that_does_not_answer_is_not_waited_for_long(gateway, ask, monkeypatch):
    monkeypatch.setattr("sie_sdk._http.transport._GRACE_S", 0.1)
    gateway.script = [answer(200, b"", delay_s=1.0)]
    with pytest.raises(errors.SIEConnectionError, match="no answer in time"):
        ask(gateway.url, "encode", "m", "x", timeout_s=0.2, wait_for_capacity=False)


def test_a_proxy_is_not_asked_for_this_machine(gateway, ask, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert ask(gateway.url, "encode", "m", "x", wait_for_capacity=False)
    with pytest.raises(errors.SIEConnectionError, match=r"refused|attempts failed"):
        ask("http://10.255.255.1:80", "encode", "m", "x", wait_for_capacity=False)


def test_a_server_far_from_ours_is_warned_of_once(gateway, caplog):
    gateway.always = lambda request: {**vectors(request), "x-sie-server-version": "7.0.0"}
    with SIEClient(gateway.url) as client, caplog.at_level(logging.WARNING):
        client.encode("m", "x")
        client.encode("m", "x")
    assert [record.message for record in caplog.records if "7.0.0" in record.message] == [
        "the server is version 7.0.0, this SDK 0.1.0"
    ]


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://host", "http://", ""])
def test_an_address_needs_a_scheme_of_ours(url):
    with pytest.raises(ValueError, match="address is like"):
        SIEClient(url)


@pytest.mark.parametrize("model", ["", "a/../b", "..", "/a", "a//b"])
def test_a_model_id_stays_in_its_place(gateway, ask, model):
    with pytest.raises(ValueError, match="model id"):
        ask(gateway.url, "encode", model, "x")
    assert not gateway.requests


@pytest.mark.parametrize(
    ("items", "more", "field"),
    [
        ([{"id": "a", "text": "x"}, "a\ud800"], {}, "items[1].text"),
        ("x", {"instruction": "\ud800"}, "params.instruction"),
    ],
)
def test_what_cannot_be_sent_is_named_by_its_field(gateway, ask, items, more, field):
    with pytest.raises(errors.RequestError) as caught:
        ask(gateway.url, "encode", "m", items, **more)
    assert (caught.value.code, caught.value.metadata) == ("INVALID_INPUT", {"field": field})
    assert not gateway.requests


def test_mistakes_are_told_where_they_are_made(gateway, ask):
    with pytest.raises(TypeError, match="'colour'"):
        ask(gateway.url, "encode", "m", {"text": "x", "colour": 1})
    with pytest.raises(TypeError, match="'dtype'"):
        ask(gateway.url, "encode", "m", "x", dtype="int8")
    with pytest.raises(TypeError, match="not int"):
        ask(gateway.url, "encode", "m", [1])
    assert not gateway.requests
