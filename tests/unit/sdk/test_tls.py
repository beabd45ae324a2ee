"""Certificates over both wires."""

import ssl
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from sie.inference.v1.inference_service_pb2 import EncodeResponse
from sie.inference.v1.inference_service_pb2_grpc import (
    InferenceServiceServicer,
    add_InferenceServiceServicer_to_server,
)
from sie_sdk import errors
from tests.unit.sdk.conftest import ScriptedGateway


class Encoder(InferenceServiceServicer):
    def Encode(self, request, context):
        response = EncodeResponse(model=request.model)
        response.items.add().dense.values.extend([len(request.items[0].text), 1])
        return response


@pytest.fixture
def https(certificates):
    gateway = ScriptedGateway()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.pem")
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    # A handshake that fails must not stop the server: it is made by the connection's own thread.
    gateway.server.socket = context.wrap_socket(
        gateway.server.socket, server_side=True, do_handshake_on_connect=False
    )
    gateway.server.handle_error = lambda *_: None
    thread = threading.Thread(target=gateway.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield gateway.url.replace("http://127.0.0.1", "https://localhost")
    gateway.server.shutdown()
    gateway.server.server_close()
    thread.join()


@pytest.fixture
def grpcs(certificates):
    server = grpc.server(ThreadPoolExecutor(2))
    add_InferenceServiceServicer_to_server(Encoder(), server)
    files = [(certificates / name).read_bytes() for name in ("server.key", "server.pem", "ca.pem")]
    credentials = grpc.ssl_server_credentials(
        [tuple(files[:2])], files[2], require_client_auth=True
    )
    port = server.add_secure_port("localhost:0", credentials)
    server.start()
    yield f"grpcs://localhost:{port}"
    server.stop(0).wait()


@pytest.mark.parametrize("wire", ["https", "grpcs"])
def test_certificates_are_shown_and_checked(request, certificates, ask, wire):
    url = request.getfixturevalue(wire)
    files = {
        "ca_file": certificates / "ca.pem",
        "cert_file": str(certificates / "client.pem"),
        "key_file": certificates / "client.key",
    }
    assert ask(url, "encode", "m", "hello", client_options=files)["dense"][0] == 5
    for missing in ({"ca_file"}, {"cert_file", "key_file"}):
        options = {name: file for name, file in files.items() if name not in missing}
        with pytest.raises(errors.SIEConnectionError):
            ask(url, "encode", "m", "x", client_options=options, provision_timeout_s=3)
