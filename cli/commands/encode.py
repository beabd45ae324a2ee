import json

import click

from cli import format as fmt
from cli import options
from cli.client import GatewayClient
from cli.endpoint import Endpoint


@click.command()
@click.argument("model")
@click.argument("texts", nargs=-1, required=True, metavar="TEXT...")
@options.json_output
@options.address
@click.option(
    "--output",
    type=click.Choice(["dense", "sparse", "multivector"]),
    help="What to return, when not the model's first output.",
)
@options.profile
def command(
    model: str,
    texts: tuple[str, ...],
    json_output: bool,
    address: Endpoint,
    output: str | None,
    profile: str,
) -> None:
    """Turn texts into embeddings."""
    with GatewayClient(address) as gateway:
        response = gateway.encode(model, texts, output, profile)
    if json_output:
        click.echo(json.dumps(fmt.as_json(response)))
    else:
        click.echo("\n".join(fmt.encoded(texts, response.items)))
    if any(item.HasField("error") for item in response.items):
        raise click.exceptions.Exit(1)
