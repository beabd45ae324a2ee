"""What a client was made with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM for https:// and grpcs:// addresses.

    Args:
        ca: authorities to trust instead of the system's.
        certificate: shown to servers that ask for one, whole chain.
        key: of that certificate.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Defaults of every call.

    Args:
        url: http(s):// or grpc(s):// address of the gateway, without a slash at its end.
        timeout_s: of each attempt.
        api_key: token; empty: none.
        gpu: machine profile, or pool/profile.
        options: for the model; those of a call win.
        oom_retries: after the device ran out of memory.
        max_connections: to the gateway at a time.
        tls: certificates.
        headers: sent with every call, keys in lower case.
        trust_env: whether proxies named by the environment may be used.
    """

    url: str
    timeout_s: float = 30.0
    api_key: str = ""
    gpu: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    oom_retries: int = 3
    max_connections: int = 100
    tls: Tls = field(default_factory=Tls)
    headers: Mapping[str, str] = field(default_factory=dict)
    trust_env: bool = True

    @property
    def is_grpc(self) -> bool:
        """Whether calls go over gRPC."""
        return self.url.startswith(("grpc://", "grpcs://"))

    @property
    def uses_proxies(self) -> bool:
        """Whether the environment's proxies are used; none reaches this machine's loopback."""
        name = urlsplit(self.url).hostname or ""
        return self.trust_env and name not in ("localhost", "::1") and not name.startswith("127.")

    @property
    def host(self) -> str:
        """The address without its scheme."""
        return self.url.partition("://")[2]


SCHEMES = ("http", "https", "grpc", "grpcs")


def checked_url(url: str) -> str:
    """A base URL without the slash at its end.

    Raises:
        ValueError: its scheme is not one of ours, or it has no host.
    """
    scheme, separator, rest = url.rstrip("/").partition("://")
    if not separator or scheme not in SCHEMES or not rest:
        raise ValueError(
            f"a client's address is like http://host:8080 or grpc://host:9090, not {url!r}"
        )
    return f"{scheme}://{rest}"
