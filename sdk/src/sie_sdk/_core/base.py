"""What both clients are made with."""

import logging
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Generic, TypeVar

from sie_sdk._core.operations import Operations
from sie_sdk._core.plan import Surroundings
from sie_sdk._core.settings import Settings, Tls, checked_url
from sie_sdk._version import VERSION

log = logging.getLogger("sie_sdk")

Transport = TypeVar("Transport")


class ClientBase(Generic[Transport]):
    """A connection to one gateway.

    Args:
        base_url: `http://`, `https://`, `grpc://` or `grpcs://` address; the scheme chooses the
            wire, and everything else is the same.
        timeout_s: of each attempt of a call.
        api_key: token of the caller.
        gpu: default machine profile, or pool/profile.
        options: defaults for models; those of a call win.
        max_oom_retries: how often to try again after a device ran out of memory.
        max_connections: to the gateway at a time (HTTP).
        ca_file: PEM of authorities to trust instead of the system's.
        cert_file: PEM of a certificate to show, with its chain.
        key_file: PEM of its key.
        headers: sent with every call.
        trust_env: whether proxies that the environment names are used, except on loopback.

    Raises:
        ValueError: the address is none.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout_s: float = 30.0,
        api_key: str | None = None,
        gpu: str | None = None,
        options: Mapping[str, Any] | None = None,
        max_oom_retries: int = 3,
        max_connections: int = 100,
        ca_file: str | PathLike[str] | None = None,
        cert_file: str | PathLike[str] | None = None,
        key_file: str | PathLike[str] | None = None,
        headers: Mapping[str, str] | None = None,
        trust_env: bool = True,
    ) -> None:
        self._settings = Settings(
            url=checked_url(base_url),
            timeout_s=timeout_s,
            api_key=api_key or "",
            gpu=gpu,
            options=dict(options or {}),
            oom_retries=max_oom_retries,
            max_connections=max_connections,
            tls=Tls(_path(ca_file), _path(cert_file), _path(key_file)),
            headers={name.lower(): value for name, value in (headers or {}).items()},
            trust_env=trust_env,
        )
        self._operations = Operations(self._settings, Surroundings())
        self._server_version = ""
        self._transport = self._open(self._settings)

    def _open(self, settings: Settings) -> Transport:
        raise NotImplementedError

    def _saw(self, headers: Mapping[str, str]) -> None:
        """Warns, once for each version of a server, if it is far from ours."""
        version = headers.get("x-sie-server-version", "")
        if version and version != self._server_version:
            self._server_version = version
            if _is_far(version, VERSION):
                log.warning("the server is version %s, this SDK %s", version, VERSION)


def _path(file: str | PathLike[str] | None) -> Path | None:
    return None if file is None else Path(file)


def _is_far(one: str, other: str) -> bool:
    """Whether versions differ in their major number, or by more than one in their minor one."""
    try:
        (major, minor), (other_major, other_minor) = _numbers(one), _numbers(other)
    except ValueError:
        return False
    return major != other_major or abs(minor - other_minor) > 1


def _numbers(version: str) -> tuple[int, int]:
    major, minor, *_ = version.split(".")
    return int(major), int(minor)
