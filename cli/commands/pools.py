import json
from collections.abc import Iterable, Sequence

import click

from cli import format as fmt
from cli import options
from cli.client import GatewayClient
from cli.endpoint import Endpoint
from sie.pool.v1 import pool_pb2, pool_service_pb2

# More is no number of the protocol.
_BOUND = 2**31


class _Pools:
    def __init__(self, gateway: GatewayClient, json_output: bool) -> None:
        self.gateway = gateway
        self._json_output = json_output

    def show(self, pools: Sequence[pool_pb2.Pool]) -> None:
        if self._json_output:
            click.echo(json.dumps({"pools": [fmt.as_json(pool) for pool in pools]}))
        else:
            click.echo("\n".join(fmt.pool_table(pools)))


_connected = options.connected(GatewayClient, _Pools)


@click.group(invoke_without_command=True)
@options.json_output
@options.address
@click.pass_context
def command(ctx: click.Context, json_output: bool, address: Endpoint) -> None:
    """List the pools of workers, or lease one: create, show, renew, delete."""
    if ctx.invoked_subcommand is None:
        with GatewayClient(address) as gateway:
            _Pools(gateway, json_output).show(gateway.list_pools())


@command.command()
@click.argument("name")
@click.argument("gpus", nargs=-1, required=True, metavar="PROFILE=COUNT...")
@click.option("--bundle", default="", help="Bundle that the workers serve, when not `default`.")
@click.option(
    "--ttl",
    default=0,
    type=click.IntRange(0, _BOUND - 1),
    help="Seconds that it lives without renewal, when not 1200.",
)
@click.option(
    "--minimum",
    default=0,
    type=click.IntRange(0, _BOUND - 1),
    help="Workers at which it is active, when not all of them.",
)
@_connected
def create(
    pools: _Pools, name: str, gpus: tuple[str, ...], bundle: str, ttl: int, minimum: int
) -> None:
    """Lease workers: `sie pools create tenant-abc l4=2`. Again: renew, or change what is leased."""
    request = pool_service_pb2.CreatePoolRequest(
        name=name,
        gpus=dict(_counts(gpus)),
        bundle=bundle,
        ttl_seconds=ttl,
        minimum_worker_count=minimum,
    )
    pools.show([pools.gateway.create_pool(request)])


@command.command()
@click.argument("name")
@_connected
def show(pools: _Pools, name: str) -> None:
    """Show one pool."""
    pools.show([pools.gateway.get_pool(name)])


@command.command()
@click.argument("name")
@_connected
def renew(pools: _Pools, name: str) -> None:
    """Start a pool's lease anew."""
    pools.show([pools.gateway.renew_pool(name)])


@command.command()
@click.argument("name")
@_connected
def delete(pools: _Pools, name: str) -> None:
    """Give a pool's workers back."""
    pools.gateway.delete_pool(name)
    click.echo(f"{name} is deleted")


def _counts(gpus: Iterable[str]) -> Iterable[tuple[str, int]]:
    for text in gpus:
        profile, separator, count = text.partition("=")
        if not separator or not count.isdecimal() or int(count) >= _BOUND:
            raise click.BadParameter(f"{text!r}: PROFILE=COUNT is expected, such as l4=2")
        yield profile, int(count)
