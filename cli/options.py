"""Options that most commands share, each defined once.

A command takes them, and so does the group that it belongs to: `sie pools --address A create …`
and `sie pools create … --address A` mean the same, and what stands later wins.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial, wraps
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from cli.client import default_address

T = TypeVar("T")
C = TypeVar("C")


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
    help="host:port of the gateway's gRPC face.",
)
_json = partial(
    click.option,
    "--json",
    "json_output",
    is_flag=True,
    callback=_of_group,
    help="Print everything as JSON.",
)

address = _address()
json_output = _json()
profile = click.option("--profile", default="", help="Profile of the model, when not its default.")
# Of groups, which leave both to their commands.
group_address = _address(expose_value=False)
group_json_output = _json(expose_value=False)


def connected(
    open_client: Callable[[str], AbstractContextManager[C]], view: Callable[[C, bool], T]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command both options, and in their place what `view` makes of a client.

    Args:
        open_client: connects to an address.
        view: takes the client, and whether to print JSON.
    """

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        @json_output
        @address
        @wraps(command)
        def run(*, address: str, json_output: bool, **values: Any) -> None:
            with open_client(address) as client:
                command(view(client, json_output), **values)

        return run

    return decorated
