"""Options that most commands share, each defined once.

A command takes them, and so does the group that it belongs to: `sie pools --address A create …`
and `sie pools create … --address A` mean the same, and what stands later wins.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial, wraps
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from cli.client import default_address
from cli.endpoint import Endpoint
from cli.tls import CA_FILE, CERTIFICATE, PRIVATE_KEY, Tls

T = TypeVar("T")
C = TypeVar("C")
Command = Callable[..., None]


def _of_group(ctx: click.Context, param: click.Parameter, value: T) -> T:
    """The value, or what the group was given where the command was given nothing."""
    assert param.name is not None
    key = f"{__name__}.{param.name}"
    if ctx.get_parameter_source(param.name) is not ParameterSource.DEFAULT:
        ctx.meta[key] = value
    given: T = ctx.meta.get(key, value)
    return given


_address = partial(
    click.option,
    "--address",
    default=default_address,
    show_default="127.0.0.1:$SIE_GRPC_PORT",
    callback=_of_group,
    help="host:port of the gateway's gRPC face; grpcs://host:port where it serves TLS.",
)
_pem = partial(
    click.option,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    show_envvar=True,
)
_CERTIFICATES = {
    "--ca-file": (CA_FILE, "Who has signed the gateway's certificate, or that itself."),
    "--certificate": (CERTIFICATE, "Shown to a gateway that asks; with its key, or see below."),
    "--private-key": (PRIVATE_KEY, "Of the certificate."),
}
_json = partial(
    click.option,
    "--json",
    "json_output",
    is_flag=True,
    callback=_of_group,
    help="Print everything as JSON.",
)


def certificates(command: Command) -> Command:
    """Gives a command `tls`, from the options that name certificates."""

    @wraps(command)
    def run(
        *args: Any,
        ca_file: Path | None,
        certificate: Path | None,
        private_key: Path | None,
        **values: Any,
    ) -> None:
        command(*args, tls=Tls(ca_file, certificate, private_key), **values)

    return _pem_options(run)


def address(command: Command) -> Command:
    """Gives a command `address`: where its gateway is, and how it is spoken to."""

    @_address()
    @certificates
    @wraps(command)
    def run(*args: Any, address: str, tls: Tls, **values: Any) -> None:
        command(*args, address=Endpoint(address, tls), **values)

    return run


def _pem_options(command: Command, **attributes: Any) -> Command:
    for name, (variable, text) in reversed(_CERTIFICATES.items()):
        option = _pem(name, envvar=variable, help=text, callback=_of_group, **attributes)
        command = option(command)
    return command


def group_address(command: Command) -> Command:
    """As `address`, for a group, which leaves it to its commands."""
    return _address(expose_value=False)(_pem_options(command, expose_value=False))


json_output = _json()
profile = click.option("--profile", default="", help="Profile of the model, when not its default.")
# Of groups, which leave it to their commands.
group_json_output = _json(expose_value=False)


def connected(
    open_client: Callable[[Endpoint], AbstractContextManager[C]], view: Callable[[C, bool], T]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command both options, and in their place what `view` makes of a client.

    Args:
        open_client: connects to a gateway.
        view: takes the client, and whether to print JSON.
    """

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        @json_output
        @address
        @wraps(command)
        def run(*, address: Endpoint, json_output: bool, **values: Any) -> None:
            with open_client(address) as client:
                command(view(client, json_output), **values)

        return run

    return decorated
