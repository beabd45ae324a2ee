"""Certificates for connections over HTTP and WebSocket."""

import ssl

from sie_sdk._core.settings import Tls


def context_of(tls: Tls) -> ssl.SSLContext | None:
    """What to verify and to show; None: the library's defaults."""
    if tls == Tls():
        return None
    context = ssl.create_default_context(cafile=tls.ca)
    # As gRPC and Python 3.13 do: a server's certificate can be trusted by itself.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if tls.certificate is not None:
        context.load_cert_chain(tls.certificate, tls.key)
    return context
