"""Tables of bad requests, as JSON, as MessagePack and over gRPC (tests/cases/*_errors.yaml)."""

import time
from dataclasses import dataclass, field

import grpc
import msgpack
import orjson
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from cli.local_stack import DEFAULT_MODEL
from sie.inference.v1.inference_service_pb2 import (
    EncodeRequest,
    ExtractRequest,
    ScoreRequest,
    TokenizeRequest,
)
from tests.asking import ask
from tests.e2e import case_files

WITHIN_S = 20.0


@dataclass(frozen=True)
class Table:
    """A file of cases for one rpc.

    Attributes:
        rpc: its name.
        stack: fixture of the cluster that is asked.
        model: that a case means where it names none.
        request_class: of the rpc.
        beside_items: what a request that is made has beside items.
    """

    rpc: str
    stack: str
    model: str
    request_class: type[Message]
    beside_items: dict = field(default_factory=dict)

    @property
    def verb(self) -> str:
        return self.rpc.lower()

    def cases(self, protocol):
        cases = case_files.read(f"{self.verb}_errors.yaml")
        return [(self, case) for case in cases if protocol in case["expect"]]

    def made(self, case) -> dict | None:
        """The request of a case as JSON values, if it has one."""
        if "make" not in case:
            return case.get("request")
        sizes = case["make"]
        text = "a " * sizes["words"] if "words" in sizes else "a" * sizes.get("text", 1)
        item = {"text": text, "id": "i" * sizes.get("id", 0)}
        made = {**self.beside_items, "items": [item] * sizes["items"]}
        if "labels" in sizes:
            made["params"] = {"labels": [f"label {n}" for n in range(sizes["labels"])]}
        if "details" in sizes:
            made["params"] = {"details": sizes["details"]}
        return made


def named(value):
    return value.rpc if isinstance(value, Table) else value["name"].replace(" ", "-")


TABLES = [
    Table("Encode", "stack", DEFAULT_MODEL, EncodeRequest),
    Table(
        "Score",
        "golden_stack",
        "golden/bert_cross_encoder",
        ScoreRequest,
        {"query": {"text": "a"}},
    ),
    Table(
        "Extract",
        "golden_stack",
        "golden/gliner",
        ExtractRequest,
        {"params": {"labels": ["person"]}},
    ),
    Table("Tokenize", "golden_stack", "golden/bert_ner", TokenizeRequest),
]


def over(protocol):
    cases = [each for table in TABLES for each in table.cases(protocol)]
    return pytest.mark.parametrize(("table", "case"), cases, ids=named)


@over("http")
def test_as_json(request, table, case):
    body = table.made(case)
    if "http" in case:
        body = case["http"].encode()
    elif "http_hex" in case:
        body = bytes.fromhex(case["http_hex"])
    check_http(request.getfixturevalue(table.stack), table, case, body, {})


@over("http")
def test_as_messagepack(request, table, case):
    body = packed(table, case)
    if body is None:
        pytest.skip("the case is about JSON's own syntax")
    headers = {"content-type": "application/msgpack", "accept": "application/msgpack"}
    check_http(request.getfixturevalue(table.stack), table, case, body, headers)


def packed(table, case) -> bytes | None:
    """The case as MessagePack, if it can be written so."""
    if "msgpack_hex" in case:
        return bytes.fromhex(case["msgpack_hex"])
    if "http" not in case and "http_hex" not in case:
        return msgpack.packb(table.made(case))
    text = case["http"].encode() if "http" in case else bytes.fromhex(case["http_hex"])
    try:
        return msgpack.packb(orjson.loads(text)) if text else b""
    except (orjson.JSONDecodeError, RecursionError, ValueError):
        return None


def check_http(stack, table, case, body, headers):
    path = f"/v1/{table.verb}/{case.get('model', table.model)}"
    if "timeout" in case:
        headers = {**headers, "x-request-timeout": str(case["timeout"])}
    started = time.monotonic()
    reply = ask(stack.http_address, "POST", path, body, headers)
    assert time.monotonic() - started < WITHIN_S
    error = reply.json()["error"]
    expect = case["expect"]
    assert (reply.status, error["code"]) == (expect["http"], expect["reason"]), error
    assert reply.headers["x-sie-error-code"] == expect["reason"]
    if "field" in expect:
        assert error["metadata"]["field"] == expect["field"]
        assert expect["field"] in error["message"]


@over("grpc")
def test_over_grpc(request, table, case):
    if "grpc" in case:
        body = bytes.fromhex(case["grpc"])
    else:
        message = json_format.ParseDict(table.made(case), table.request_class())
        message.model = case.get("model", table.model)
        body = message.SerializeToString()
    stack = request.getfixturevalue(table.stack)
    with grpc.insecure_channel(stack.grpc_address) as channel:
        call = channel.unary_unary(f"/sie.inference.v1.InferenceService/{table.rpc}")
        with pytest.raises(grpc.RpcError) as caught:
            call(body, timeout=case.get("timeout", WITHIN_S))
    expect = case["expect"]
    assert caught.value.code().name == expect["grpc"], caught.value.details()
    if expect["reason"] == "DEADLINE_EXCEEDED":
        return  # The client's own clock may end the call before the server's answer is there.
    details = {}
    for packed in rpc_status.from_call(caught.value).details:
        for message in (error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()):
            if packed.Unpack(message):
                details[type(message).__name__] = message
    assert details["ErrorInfo"].reason == expect["reason"]
    assert details["ErrorInfo"].domain == "sie"
    if "field" in expect:
        assert details["BadRequest"].field_violations[0].field == expect["field"]


@pytest.mark.parametrize("table", TABLES, ids=named)
def test_the_next_request_is_served(request, table):
    stack = request.getfixturevalue(table.stack)
    body = {**table.beside_items, "items": [{"text": "still here"}]}
    reply = ask(stack.http_address, "POST", f"/v1/{table.verb}/{table.model}", body)
    assert reply.status == 200
