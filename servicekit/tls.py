"""TLS of a server, from files that Kubernetes and cert-manager write, and write again.

    connection ─► have the files changed? ──no──► what was served before
                       │ yes                              ▲
                       └─► do they fit together? ──no─────┘ and a line in the log
                                 └─yes─► served from here on

Files are looked at when somebody connects: there is nothing to run beside the servers, and all
that share a `ServerTls` serve the same. Connections keep what they began with.
"""

import logging
import ssl
import threading
from pathlib import Path
from typing import NamedTuple

import grpc

from servicekit.settings import SettingsError

log = logging.getLogger(__name__)

# Of each file when it was last written, its number and its size; None where there is none.
_State = tuple[tuple[int, int, int] | None, ...]


class _Served(NamedTuple):
    """What new connections are met with, as each library takes it."""

    context: ssl.SSLContext
    configuration: grpc.ServerCertificateConfiguration


class ServerTls:
    """Certificate and key of a server: those in its files, or the last that could be used.

    Args:
        certificate: PEM, the whole chain.
        key: PEM.
        client_ca: PEM; when given, clients must show a certificate that it has signed.

    Raises:
        OSError: a file cannot be read, or they do not fit together (ssl.SSLError).
        ValueError: the key has a password.
    """

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None = None) -> None:
        self._certificate = certificate
        self._key = key
        self._client_ca = client_ca
        # gRPC asks from threads of its own.
        self._lock = threading.Lock()
        self._seen = self._state()
        self._served = self._load()

    @classmethod
    def of(
        cls, certificate: Path | None, key: Path | None, client_ca: Path | None
    ) -> "ServerTls | None":
        """From settings; None where no certificate is given.

        Raises:
            SettingsError: only a part of what is needed is given, a file is missing, or they
                cannot be used: a key of another certificate, or one with a password.
        """
        given = {
            "SIE_TLS_CERT": certificate,
            "SIE_TLS_KEY": key,
            "SIE_TLS_CLIENT_CA": client_ca,
        }
        if not any(given.values()):
            return None
        if certificate is None or key is None:
            raise SettingsError("TLS needs both SIE_TLS_CERT and SIE_TLS_KEY")
        for variable, path in given.items():
            if path is not None and not path.is_file():
                raise SettingsError(f"{variable}={str(path)!r}: no such file")
        _check(certificate, key, client_ca)
        return cls(certificate, key, client_ca)

    def http_context(self) -> ssl.SSLContext:
        """A context each of whose connections gets the current certificate."""

        def choose(connection: ssl.SSLObject, _name: str | None, _of: ssl.SSLContext) -> None:
            connection.context = self._current().context

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # Whether clients show a certificate is decided here, and against what, by the other.
        context.verify_mode = self._served.context.verify_mode
        # Called for clients that name no server, too.
        context.sni_callback = choose
        return context

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """Credentials each of whose connections gets the current certificate."""
        served = self._current()

        def fetch() -> grpc.ServerCertificateConfiguration | None:
            nonlocal served
            if (current := self._current()) is served:
                return None
            served = current
            return current.configuration

        return grpc.dynamic_ssl_server_credentials(
            served.configuration,
            fetch,  # type: ignore[arg-type]  # None says that nothing has changed.
            self._client_ca is not None,
        )

    def _current(self) -> _Served:
        """What to meet a new connection with; the same object until the files change."""
        with self._lock:
            if (state := self._state()) != self._seen:
                self._renew(state)
            return self._served

    def _renew(self, state: _State) -> None:
        try:
            served = self._load()
        except (OSError, ValueError) as error:
            self._seen = state
            fields = {"certificate": self._certificate, "problem": error}
            log.warning("certificate kept, the new one cannot be used", extra={"fields": fields})
            return
        # What is being written is looked at again by the next connection.
        if self._state() == state:
            self._seen, self._served = state, served
            log.info("certificate renewed", extra={"fields": {"certificate": self._certificate}})

    def _load(self) -> _Served:
        context = _pair(self._certificate, self._key)
        authority = None
        if self._client_ca is not None:
            context.load_verify_locations(self._client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
            authority = self._client_ca.read_bytes()
        pair = (self._key.read_bytes(), self._certificate.read_bytes())
        return _Served(context, grpc.ssl_server_certificate_configuration([pair], authority))

    def _state(self) -> _State:
        """Another value when a file is written, or a link on the way to it is set elsewhere."""
        return tuple(map(_state_of, (self._certificate, self._key, self._client_ca)))


def _state_of(path: Path | None) -> tuple[int, int, int] | None:
    try:
        found = path.stat() if path else None
    except OSError:
        found = None
    return (found.st_mtime_ns, found.st_ino, found.st_size) if found else None


def _pair(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Without a password here, the one of a key would be asked for at a terminal.
    context.load_cert_chain(certificate, key, password="")
    return context


def _check(certificate: Path, key: Path, client_ca: Path | None) -> None:
    try:
        context = _pair(certificate, key)
    except (ssl.SSLError, ValueError) as error:
        raise SettingsError(f"SIE_TLS_CERT and SIE_TLS_KEY: {error}") from None
    try:
        if client_ca is not None:
            context.load_verify_locations(client_ca)
    except ssl.SSLError as error:
        raise SettingsError(f"SIE_TLS_CLIENT_CA={str(client_ca)!r}: {error}") from None
