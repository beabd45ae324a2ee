import json

import click

from cli import format as fmt
from cli import options
from cli.client import GatewayClient
from cli.endpoint import Endpoint


@click.command()
@options.json_output
@options.address
def command(json_output: bool, address: Endpoint) -> None:
    """List the models that a gateway serves."""
    with GatewayClient(address) as gateway:
        found = gateway.list_models()
    if json_output:
        click.echo(json.dumps({"models": [fmt.as_json(model) for model in found]}))
    else:
        click.echo("\n".join(fmt.model_table(found)))
