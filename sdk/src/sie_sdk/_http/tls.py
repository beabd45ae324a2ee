"""Certificates for connections over HTTP and WebSocket."""

import ssl

from sie_sdk._core.settings import Tls


def context_of(tls: Tls) -> ssl.SSLContext | None:
    """What to verify and to show; None: the library's defaults."""
    if tls == Tls():
        return None
    context = ssl.create_default_context(cafile=tls.ca)
    if tls.certificate is not None:
        context.load_cert_chain(tls.certificate, tls.key)
    return context
