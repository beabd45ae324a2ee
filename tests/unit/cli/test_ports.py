import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cli.errors import CommandError
from cli.ports import HOST, Ports, PortTakenError, free_port, is_free


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server((HOST, 0)) as listener:
        yield listener.getsockname()[1]


def free_environment() -> dict[str, str]:
    return {"SIE_HTTP_PORT": str(free_port()), "SIE_GRPC_PORT": str(free_port())}


@pytest.mark.parametrize("variable", ["SIE_HTTP_PORT", "SIE_GRPC_PORT", "SIE_NATS_PORT"])
def test_a_taken_port_is_named_with_its_variable(variable: str, taken_port: int) -> None:
    environment = free_environment() | {variable: str(taken_port)}
    with pytest.raises(PortTakenError, match=f"port {taken_port} is taken.*{variable}="):
        Ports.from_environment(environment)


@pytest.mark.parametrize("text", ["", "http", "0", "-1", "65536", "80.5"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match=r"SIE_GRPC_PORT=.*is no port"):
        Ports.from_environment(free_environment() | {"SIE_GRPC_PORT": text})


def test_no_other_process_is_handed_a_port_that_was_handed_out() -> None:
    port = free_port()
    program = (
        "import itertools; from cli import ports;"
        f"ports._candidates = itertools.count({port} - ports._FREE_RANGE_START);"
        "print(ports.free_port())"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert int(done.stdout) > port


def test_inner_ports_give_way_to_another_stack() -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Already taken by something else on this machine: as good as taken by us.
        if is_free(4222):
            listener.bind((HOST, 4222))
            listener.listen()
        ports = Ports.from_environment(free_environment())
    assert ports.broker != 4222


def test_an_inner_port_gives_way_to_a_public_one() -> None:
    environment = free_environment() | {"SIE_GRPC_PORT": "9091"}
    if is_free(9091):
        ports = Ports.from_environment(environment)
        assert ports.grpc == 9091
        assert ports.config_grpc != 9091


def test_two_variables_with_one_port_are_refused() -> None:
    port = str(free_port())
    with pytest.raises(CommandError, match=f"SIE_HTTP_PORT and SIE_GRPC_PORT are both {port}"):
        Ports.from_environment({"SIE_HTTP_PORT": port, "SIE_GRPC_PORT": port})


def test_no_two_stacks_that_start_together_choose_one_inner_port() -> None:
    ports = Ports.from_environment(free_environment())
    program = "import os; from cli.ports import Ports; print(Ports.from_environment(os.environ))"
    environment = os.environ | free_environment()
    command = [sys.executable, "-c", program]
    other = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    for port in (ports.broker, ports.config_grpc, ports.config_http):
        assert f"={port}," not in other.stdout
        assert f"={port})" not in other.stdout


def test_free_ports_differ() -> None:
    ports = Ports.free()
    assert len({ports.http, ports.grpc, ports.broker, ports.config_grpc, ports.config_http}) == 5


def test_a_listened_port_is_not_free(taken_port: int) -> None:
    assert not is_free(taken_port)
