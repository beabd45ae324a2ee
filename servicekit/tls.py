"""TLS of a server, from files that Kubernetes and cert-manager write."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from servicekit.settings import SettingsError


@dataclass(frozen=True, slots=True)
class ServerTls:
    """Certificate and key of a server.

    Args:
        certificate: PEM, the whole chain.
        key: PEM.
        client_ca: PEM; when given, clients must show a certificate that it has signed.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

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

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """What a gRPC server listens with."""
        authority = self.client_ca.read_bytes() if self.client_ca else None
        return grpc.ssl_server_credentials(
            [(self.key.read_bytes(), self.certificate.read_bytes())],
            root_certificates=authority,
            require_client_auth=authority is not None,
        )

    def uvicorn_options(self) -> dict[str, Any]:
        """What uvicorn is configured with."""
        options: dict[str, Any] = {"ssl_certfile": self.certificate, "ssl_keyfile": self.key}
        if self.client_ca is not None:
            options |= {"ssl_ca_certs": str(self.client_ca), "ssl_cert_reqs": ssl.CERT_REQUIRED}
        return options


def _check(certificate: Path, key: Path, client_ca: Path | None) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without a password here, the one of a key would be asked for at a terminal.
        context.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, ValueError) as error:
        raise SettingsError(f"SIE_TLS_CERT and SIE_TLS_KEY: {error}") from None
    try:
        if client_ca is not None:
            context.load_verify_locations(client_ca)
    except ssl.SSLError as error:
        raise SettingsError(f"SIE_TLS_CLIENT_CA={str(client_ca)!r}: {error}") from None
