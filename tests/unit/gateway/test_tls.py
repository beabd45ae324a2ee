"""TLS on both ports, with real handshakes, while its files stay and while they are renewed."""

import asyncio
import http.client
import shutil
import socket
import ssl
from contextlib import closing

import grpc
import pytest

from gateway import grpc_face
from servicekit.grpc_server import GrpcServer
from servicekit.settings import SettingsError
from servicekit.tls import ServerTls
from sie.inference.v1.inference_service_pb2 import EncodeRequest
from sie.inference.v1.inference_service_pb2_grpc import InferenceServiceStub
from tests.unit.gateway.support import MAX_REQUEST_BYTES


class Issued:
    """Files of a server, which an issuer writes again. Both pairs are for localhost."""

    def __init__(self, certificates, folder):
        self._from = certificates
        self.certificate, self.key, self.ca = (
            folder / name for name in ("tls.crt", "tls.key", "ca.crt")
        )
        shutil.copy(certificates / "ca.pem", self.ca)
        self.write_certificate("server")
        self.write_key("server")

    def write_certificate(self, name):
        shutil.copy(self._from / f"{name}.pem", self.certificate)

    def write_key(self, name):
        shutil.copy(self._from / f"{name}.key", self.key)


@pytest.fixture
def issued(certificates, tmp_path):
    return Issued(certificates, tmp_path)


@pytest.fixture(params=[False, True], ids=["anybody", "mutual"])
def mutual(request):
    return request.param


@pytest.fixture
def tls(issued, mutual):
    return ServerTls.of(issued.certificate, issued.key, issued.ca if mutual else None)


@pytest.fixture
async def grpc_port(api, tls):
    server = GrpcServer("127.0.0.1:0", [], MAX_REQUEST_BYTES, tls)
    server.server.add_generic_rpc_handlers(grpc_face.handlers(api, MAX_REQUEST_BYTES, "1.2.3"))
    yield await server.start()
    await server.stop(0)


async def test_both_ports_speak_tls_and_may_ask_for_a_certificate(
    certificates, http_port, grpc_port, mutual
):
    assert await https(http_port, certificates, with_certificate=True) == 200
    if mutual:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await https(http_port, certificates, with_certificate=False)
    files = [(certificates / name).read_bytes() for name in ("ca.pem", "client.key", "client.pem")]
    assert await encode(grpc_port, grpc.ssl_channel_credentials(*files)) == "m"
    if mutual:
        with pytest.raises(grpc.aio.AioRpcError):
            await encode(grpc_port, grpc.ssl_channel_credentials(files[0]))


async def test_both_ports_serve_a_renewed_certificate_and_keep_theirs_while_it_is_broken(
    certificates, http_port, grpc_port, issued, mutual, caplog
):
    async def served():
        return {await subject(port, certificates) for port in (http_port, grpc_port)}

    context = client_context(certificates)
    kept = http.client.HTTPSConnection("localhost", http_port, timeout=10, context=context)
    with closing(kept):
        assert await asyncio.to_thread(health, kept) == 200
        assert await served() == {"server"}

        issued.write_certificate("client")
        assert await served() == await served() == {"server"}
        assert caplog.text.count("certificate kept") == 1
        issued.key.write_text("-----BEGIN PRIVATE KEY-----\nhalf of")
        assert await served() == {"server"}
        issued.key.unlink()
        assert await served() == {"server"}
        assert caplog.text.count("certificate kept") == 3

        issued.write_key("client")
        assert await served() == {"client"}
        assert await asyncio.to_thread(health, kept) == 200
    assert await https(http_port, certificates, with_certificate=True) == 200
    if mutual:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await https(http_port, certificates, with_certificate=False)


@pytest.mark.parametrize("mutual", [True], indirect=True)
async def test_another_authority_of_callers_is_taken_too(
    certificates, http_port, grpc_port, issued, mutual
):
    # The server's own certificate has signed nothing.
    shutil.copy(certificates / "server.pem", issued.ca)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await https(http_port, certificates, with_certificate=True)
    files = [(certificates / name).read_bytes() for name in ("ca.pem", "client.key", "client.pem")]
    with pytest.raises(grpc.aio.AioRpcError):
        await encode(grpc_port, grpc.ssl_channel_credentials(*files))


@pytest.mark.parametrize(
    ("certificate", "key", "problem"),
    [
        ("server.pem", None, "both"),
        (None, "server.key", "both"),
        ("nowhere", "server.key", "no such"),
        ("server.pem", "client.key", "KEY_VALUES_MISMATCH"),
        ("server.key", "server.key", "SIE_TLS_CERT"),
    ],
)
def test_half_a_tls_configuration_refuses_to_start(certificates, certificate, key, problem):
    paths = [name and certificates / name for name in (certificate, key)]
    with pytest.raises(SettingsError, match=problem):
        ServerTls.of(*paths, None)
    assert ServerTls.of(None, None, None) is None


def client_context(certificates, *, with_certificate=True):
    context = ssl.create_default_context(cafile=certificates / "ca.pem")
    if with_certificate:
        context.load_cert_chain(certificates / "client.pem", certificates / "client.key")
    return context


async def subject(port, certificates):
    """The common name of the certificate that a new connection is met with, by address."""

    def handshake():
        context = client_context(certificates)
        context.set_alpn_protocols(["h2", "http/1.1"])
        raw = socket.create_connection(("127.0.0.1", port), timeout=10)
        with context.wrap_socket(raw, server_hostname="127.0.0.1") as connection:
            return dict(pair for ((pair),) in connection.getpeercert()["subject"])["commonName"]

    return await asyncio.to_thread(handshake)


async def https(port, certificates, *, with_certificate):

    def request():
        context = client_context(certificates, with_certificate=with_certificate)
        connection = http.client.HTTPSConnection("localhost", port, timeout=10, context=context)
        with closing(connection):
            return health(connection)

    return await asyncio.to_thread(request)


def health(connection):
    connection.request("GET", "/healthz")
    response = connection.getresponse()
    assert response.read()
    return response.status


async def encode(port, credentials):
    async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
        stub = InferenceServiceStub(channel)
        return (await stub.Encode(EncodeRequest(model="m"), timeout=5)).model
