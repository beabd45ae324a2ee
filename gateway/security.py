"""Who may call a gateway, who may see its pages, and how both prove who they are."""

from typing import NamedTuple, Self

from gateway.auth.guard import Guard
from gateway.auth.modes import tokens_of
from gateway.auth.pages import PageRules
from gateway.settings import Settings
from servicekit.tls import ServerTls


class Security(NamedTuple):
    """What the settings say of it."""

    guard: Guard
    pages: PageRules
    tls: ServerTls | None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Reads tokens and certificates; raises where they do not fit together."""
        guard = Guard(
            tokens_of(
                settings.auth_mode, settings.auth_tokens, settings.admin_token, settings.auth_file
            )
        )
        pages = PageRules(
            guard, settings.metrics_token, open_operational=settings.auth_exempt_operational
        )
        tls = ServerTls.of(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
        return cls(guard, pages, tls)
