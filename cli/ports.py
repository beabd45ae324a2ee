"""Which loopback ports a local stack listens on."""

import fcntl
import functools
import itertools
import os
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.errors import CommandError

HOST = "127.0.0.1"

# Below the range from which the kernel takes ports of outgoing connections (32768 on Linux),
# so that none of those can take a port between our choosing it and the child's listening.
_FREE_RANGE_START, _FREE_RANGE_SIZE = 20_000, 12_000
# Processes whose ids are close together begin far apart.
_candidates = itertools.count(os.getpid() * 1009)


class PortTakenError(CommandError):
    """Another program listens on a port that was asked for."""

    def __init__(self, port: int, variable: str) -> None:
        super().__init__(
            f"port {port} is taken by another program; "
            f"choose another one with {variable}, such as {variable}={port + 1}"
        )


@dataclass(frozen=True)
class Ports:
    """The ports of everything that is there once. Workers and further gateways take free ones."""

    http: int
    grpc: int
    broker: int
    config_grpc: int
    config_http: int

    @classmethod
    def free(cls) -> "Ports":
        """Ports nobody uses, for stacks that nobody types the address of."""
        return cls(*(free_port() for _ in range(5)))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Ports":
        """The usual ports, or those that variables name.

        The two public ports are a promise: when one is taken, that is an error. The inner ones
        give way to another stack, unless a variable insists.

        Raises:
            PortTakenError: a public port, or one named by a variable, is taken.
            CommandError: a variable holds no port, or one that another has.
        """
        choice = _Choice(environment)
        return cls(
            http=choice.exactly("SIE_HTTP_PORT", "8080"),
            grpc=choice.exactly("SIE_GRPC_PORT", "9090"),
            broker=choice.preferably("SIE_NATS_PORT", 4222),
            config_grpc=choice.preferably("SIE_CONFIG_GRPC_PORT", 9091),
            config_http=choice.preferably("SIE_CONFIG_HTTP_PORT", 9092),
        )


class _Choice:
    """The ports of one stack, no two of them alike."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._chosen: dict[int, str] = {}

    def exactly(self, variable: str, usual: str) -> int:
        """The port that a variable names, or the usual one."""
        port = _exactly(variable, self._environment.get(variable, usual))
        if port in self._chosen:
            raise CommandError(
                f"{self._chosen[port]} and {variable} are both {port}; each needs a port of its own"
            )
        self._chosen[port] = variable
        return port

    def preferably(self, variable: str, usual: int) -> int:
        """As `exactly`, but any free port where nothing names one and the usual one is in use."""
        if variable in self._environment:
            return self.exactly(variable, "")
        # A stack that starts beside this one may have chosen it and not listen yet.
        is_ours = usual not in self._chosen and is_free(usual) and _is_ours(usual)
        port = usual if is_ours else free_port()
        self._chosen[port] = variable
        return port


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        # Connections of an earlier run that linger in TIME_WAIT do not matter.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that nobody listens on, and that no process that runs has been handed before."""
    for candidate in _candidates:
        port = _FREE_RANGE_START + candidate % _FREE_RANGE_SIZE
        if is_free(port) and _is_ours(port):
            return port
    raise AssertionError


def _is_ours(port: int) -> bool:
    """Locks the port's byte of a file, until this process ends."""
    try:
        fcntl.lockf(_handed_out(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


@functools.cache
def _handed_out() -> int:
    # Never closed: that would give back every lock.
    path = Path(tempfile.gettempdir()) / f"sie-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _exactly(variable: str, text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise CommandError(f"{variable}={text!r} is no port: a number from 1 to 65535 is expected")
    port = int(text)
    if not is_free(port):
        raise PortTakenError(port, variable)
    return port
