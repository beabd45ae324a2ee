import json

import click

from cli import format as fmt
from cli.client import GatewayClient, default_address


@click.command()
@click.option("--json", "json_output", is_flag=True, help="Print everything as JSON.")
@click.option(
    "--address",
    default=default_address,
    show_default="127.0.0.1:$SIE_GRPC_PORT",
    help="host:port of the gateway's gRPC face.",
)
def command(json_output: bool, address: str) -> None:
    """List the models that a gateway serves."""
    with GatewayClient(address) as gateway:
        found = gateway.list_models()
    if json_output:
        click.echo(json.dumps({"models": [fmt.as_json(model) for model in found]}))
    else:
        click.echo("\n".join(fmt.model_table(found)))
