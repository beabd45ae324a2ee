import json

import click

from cli import format as fmt
from cli import options
from cli.client import GatewayClient
from cli.endpoint import Endpoint


@click.command()
@click.argument("model")
@click.argument("query")
@click.argument("documents", nargs=-1, required=True, metavar="DOCUMENT...")
@options.json_output
@options.address
@click.option("--instruction", default="", help="What relevance means, for models that take one.")
@options.profile
def command(
    model: str,
    query: str,
    documents: tuple[str, ...],
    json_output: bool,
    address: Endpoint,
    instruction: str,
    profile: str,
) -> None:
    """Rank documents by their relevance to a query."""
    with GatewayClient(address) as gateway:
        response = gateway.score(model, query, documents, instruction, profile)
    if json_output:
        click.echo(json.dumps(fmt.as_json(response)))
    else:
        click.echo("\n".join(fmt.ranking(documents, response)))
    if any(entry.HasField("error") for entry in response.scores):
        raise click.exceptions.Exit(1)
