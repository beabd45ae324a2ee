"""TLS as the `sie` command speaks it: whom it trusts, and what it shows."""

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.errors import CommandError
from cli.ports import HOST

# The variables that stand for the options of commands.
CA_FILE, CERTIFICATE, PRIVATE_KEY = "SIE_CA_FILE", "SIE_CERTIFICATE", "SIE_PRIVATE_KEY"


@dataclass(frozen=True)
class Tls:
    """Files in PEM.

    Args:
        ca_file: who has signed the gateway's certificate, or that certificate; None: whom this
            machine trusts.
        certificate: our own, for a gateway that asks; None: none is shown.
        private_key: of that; None: it is in the same file.
    """

    ca_file: Path | None = None
    certificate: Path | None = None
    private_key: Path | None = None

    @property
    def is_given(self) -> bool:
        """Whether any file is named."""
        return self != Tls()

    @property
    def key_file(self) -> Path | None:
        """Where the private key is."""
        return self.private_key or self.certificate

    def context(self) -> ssl.SSLContext:
        """What a connection over HTTPS needs.

        Raises:
            CommandError: a file holds nothing of the kind.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            # As gRPC, curl and Python 3.13 do: a certificate can be trusted by itself.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            self._show(context)
        except OSError as error:
            raise self._unusable(error) from None
        return context

    def pem(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """Authorities, key and certificate, as gRPC takes them.

        Raises:
            CommandError: a file holds nothing of the kind, of which gRPC would not tell.
        """
        self.context()
        ca, key, certificate = (
            path.read_bytes() if path else None
            for path in (self.ca_file, self.key_file, self.certificate)
        )
        return ca, key, certificate

    def of_own_gateway(self) -> ssl.SSLContext:
        """For questions to a gateway that was started here, whatever name its certificate has.

        Raises:
            CommandError: our certificate or key cannot be used.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            self._show(context)
        except OSError as error:
            raise self._unusable(error) from None
        return context

    def _unusable(self, error: OSError) -> CommandError:
        files = (self.ca_file, self.certificate, self.private_key)
        named = ", ".join(str(path) for path in files if path)
        return CommandError(f"the certificate files cannot be used ({named}): {error}")

    def _show(self, context: ssl.SSLContext) -> None:
        if self.certificate:
            # A key with a password is refused, not asked for.
            context.load_cert_chain(self.certificate, self.private_key, password="")


def name_of_own_gateway(port: int, tls: Tls, timeout_s: float = 5.0) -> str:
    """The name by which callers on this machine can trust a gateway that was started here.

    Raises:
        OSError: there is none (ssl.SSLError), or the gateway has gone.
    """
    context = tls.context()
    for name in (HOST, "localhost"):
        try:
            with (
                socket.create_connection((HOST, port), timeout_s) as raw,
                context.wrap_socket(raw, server_hostname=name),
            ):
                return name
        except ssl.SSLCertVerificationError as error:
            problem = error
    raise problem


def of_environment(environment: Mapping[str, str]) -> Tls:
    """What the variables name that stand for the options of commands."""
    ca_file, certificate, private_key = (
        Path(named) if (named := environment.get(variable)) else None
        for variable in (CA_FILE, CERTIFICATE, PRIVATE_KEY)
    )
    return Tls(ca_file, certificate, private_key)
