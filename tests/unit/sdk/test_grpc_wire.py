"""The gRPC wire and the table of calls, held to the contract."""

import asyncio
import socket
import subprocess
import sys

import grpc
import numpy as np
import pytest
from google.api import annotations_pb2
from google.protobuf import any_pb2
from google.rpc import status_pb2

from servicekit.errors import SieError, spec_of, status_of
from sie.batch.v1 import batch_service_pb2, file_service_pb2
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1 import inference_service_pb2, model_service_pb2
from sie.pool.v1 import pool_service_pb2
from sie_sdk import SIEAsyncClient, errors
from sie_sdk._core import rpcs
from sie_sdk._core.failure import Kind, error_of
from sie_sdk._grpc.reasons import HTTP_STATUS
from sie_sdk._grpc.schema import method_of
from sie_sdk._grpc.wire import failure_of, method, reply_of

FILES = (
    batch_service_pb2,
    file_service_pb2,
    inference_service_pb2,
    model_service_pb2,
    pool_service_pb2,
)
ALL = [rpc for rpc in vars(rpcs).values() if isinstance(rpc, rpcs.Rpc) and rpc.service]


@pytest.mark.parametrize("rpc", ALL, ids=lambda rpc: rpc.name)
def test_addresses_are_those_of_the_contract(rpc):
    (service,) = [
        service
        for file in FILES
        for service in file.DESCRIPTOR.services_by_name.values()
        if service.full_name == rpc.service
    ]
    rule = service.methods_by_name[rpc.name].GetOptions().Extensions[annotations_pb2.http]
    kind = rule.WhichOneof("pattern")
    assert (kind.upper(), getattr(rule, kind).replace("=**", "")) == (rpc.method, rpc.path)
    assert rule.response_body == rpc.response_field
    assert method(rpc).path == f"/{rpc.service}/{rpc.name}"


def test_statuses_are_those_of_the_contract():
    reasons = {
        ErrorReason.Name(number).removeprefix("ERROR_REASON_"): number
        for number in ErrorReason.values()
        if number
    }
    assert {name: spec_of(number).http_status for name, number in reasons.items()} == HTTP_STATUS


def test_requests_have_the_form_of_the_contract():
    value = {
        "model": "m",
        "items": [
            {"id": "a", "text": "x", "metadata": {"k": [1, "b"]}},
            {"images": [{"data": b"\xff", "format": "png"}]},
            {"multivector": np.array([[1, 2], [3, 4]], "<f4")},
        ],
        "params": {
            "output_types": ["dense", "sparse"],
            "output_dtype": "int8",
            "is_query": False,
            "options": {"a": {"b": True}},
        },
    }
    request = inference_service_pb2.EncodeRequest.FromString(method(rpcs.ENCODE).serialise(value))
    assert request.items[0].metadata["k"][1] == "b"
    assert request.items[1].images[0].data == b"\xff"
    vectors = request.items[2].multivector
    assert (vectors.num_tokens, vectors.token_dims, list(vectors.values)) == (2, 2, [1, 2, 3, 4])
    assert (list(request.params.output_types), request.params.output_dtype) == ([1, 2], 3)
    assert request.params.HasField("is_query")
    assert request.params.options["a"]["b"] is True


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("params.output_dtype", {"params": {"output_dtype": "int4"}}),
        ("params.output_types", {"params": {"output_types": ["dens"]}}),
        ("params.colour", {"params": {"colour": 1}}),
        ("params.dimensions", {"params": {"dimensions": -1}}),
        ("params.dimensions", {"params": {"dimensions": "a"}}),
        ("items[1].text", {"items": [{"text": "a"}, {"text": "\ud800"}]}),
        ("items[0].images[0].data", {"items": [{"images": [{"data": "x"}]}]}),
        ("model", {"model": 5}),
    ],
)
def test_what_the_contract_has_not_is_refused_as_the_server_would(field, message):
    with pytest.raises(errors.RequestError) as caught:
        method(rpcs.ENCODE).serialise({"model": "m", "items": [], **message})
    assert (caught.value.code, caught.value.status_code) == ("INVALID_INPUT", 400)
    assert caught.value.metadata == {"field": field}
    assert str(caught.value).startswith(f"INVALID_INPUT: {field}: ")


def test_replies_hold_arrays():
    response = inference_service_pb2.EncodeResponse(model="m")
    dense = response.items.add(id="a").dense
    dense.dims, dense.dtype = 2, 1
    dense.values.extend([0.5, 2.0])
    half = response.items.add().dense
    half.dims, half.dtype, half.data = 2, 2, np.array([1, 2], "<f2").tobytes()
    sparse = response.items.add().sparse
    sparse.indices.extend([3, 9])
    sparse.values.extend([1.5, 2.5])
    rows = response.items.add().multivector
    rows.num_tokens, rows.token_dims = 2, 1
    rows.values.extend([1, 2])
    response.items.add(id="z").error.reason = 1
    reply = reply_of(rpcs.ENCODE, response.SerializeToString(), [("x-a", "1")])
    first, second, third, fourth, fifth = reply.value["items"]
    np.testing.assert_array_equal(first["dense"]["values"], np.array([0.5, 2], "<f4"))
    assert second["dense"]["values"].dtype == "<f2"
    assert third["sparse"]["indices"].tolist() == [3, 9]
    assert fourth["multivector"]["values"].shape == (2, 1)
    assert fifth["error"] == {"code": "INVALID_INPUT", "message": ""}
    assert reply.headers == {"x-a": "1"}
    assert reply_of(rpcs.ENCODE, b"\xff", ()).kind is Kind.UNREADABLE


class Ended(grpc.RpcError):
    """A call that failed, as the library shows it."""

    def __init__(self, code, details="", status=None):
        self._code, self._details, self._status = code, details, status

    def code(self):
        return self._code

    def details(self):
        return self._details

    def trailing_metadata(self):
        if self._status is None:
            return ()
        return (("grpc-status-details-bin", self._status.SerializeToString()),)


def ended(error):
    status = status_of(error, "request-1")
    codes = {code.value[0]: code for code in grpc.StatusCode}
    return Ended(codes[status.code], status.message, status)


def test_errors_are_those_of_http():
    provisioning = SieError(
        ErrorReason.ERROR_REASON_PROVISIONING, "soon", retry_after_s=120, gpu="l4"
    )
    failure = failure_of(ended(provisioning))
    assert (failure.status, failure.code, failure.retry_after_s) == (202, "PROVISIONING", 120)
    error = error_of(failure)
    assert (type(error), error.gpu, error.request_id) == (
        errors.ProvisioningError,
        "l4",
        "request-1",
    )
    quota = failure_of(ended(SieError(ErrorReason.ERROR_REASON_QUOTA_EXCEEDED, "no", tenant="t")))
    assert (quota.status, quota.metadata["tenant"]) == (429, "t")


@pytest.mark.parametrize(
    ("code", "details", "kind", "status"),
    [
        (grpc.StatusCode.UNAVAILABLE, "failed to connect", Kind.CONNECTION, 0),
        (grpc.StatusCode.UNAVAILABLE, "Ssl handshake failed", Kind.UNREACHABLE, 0),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", Kind.TIMEOUT, 0),
        (grpc.StatusCode.UNIMPLEMENTED, "unknown method", Kind.ANSWER, 501),
        (grpc.StatusCode.UNKNOWN, "", Kind.ANSWER, 500),
    ],
)
def test_errors_of_the_library_itself(code, details, kind, status):
    failure = failure_of(Ended(code, details))
    assert (failure.kind, failure.status) == (kind, status)
    assert failure.message


def test_a_detail_of_somebody_else_is_none_of_ours():
    packed = any_pb2.Any(type_url="type.googleapis.com/other.Thing", value=b"\xff")
    status = status_pb2.Status(code=14, message="m", details=[packed])
    failure = failure_of(Ended(grpc.StatusCode.UNAVAILABLE, "m", status))
    assert failure.kind is Kind.CONNECTION


def test_the_package_needs_neither_the_server_nor_its_generated_code():
    code = (
        "import sys; sys.path[:] = [p for p in sys.path if not p.endswith('/gen')]\n"
        "import sie_sdk, sie_sdk._grpc.transport\n"
        "from sie_sdk._grpc.wire import method\n"
        "from sie_sdk._core.rpcs import ENCODE\n"
        "method(ENCODE)\n"
        "found = {name.partition('.')[0] for name in sys.modules}\n"
        "assert not found & {'sie', 'servicekit', 'gateway', 'cli'}, found\n"
    )
    package = method_of.__code__.co_filename.partition("/sie_sdk/")[0]
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": package})


def test_both_generated_forms_live_in_one_process():
    method(rpcs.ENCODE)
    assert inference_service_pb2.EncodeRequest(model="m").model == "m"


def test_an_asyncio_client_may_be_made_before_its_loop():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        client = SIEAsyncClient(f"grpc://127.0.0.1:{taken.getsockname()[1]}")

        async def ask():
            async with client:
                await client.list_models()

        with pytest.raises(errors.SIEConnectionError):
            asyncio.run(ask())
