import json
import sys

import click

from cli import format as fmt
from cli import highlight, options
from cli.client import GatewayClient
from cli.endpoint import Endpoint


@click.command()
@click.argument("model")
@click.argument("texts", nargs=-1, required=True, metavar="TEXT...")
@click.option(
    "--label",
    "labels",
    multiple=True,
    help="What to look for; can be repeated. Some models need it, others have labels.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help="Leave out what scores below this, when not the model's own.",
)
@options.json_output
@options.address
@options.profile
def command(
    model: str,
    texts: tuple[str, ...],
    labels: tuple[str, ...],
    threshold: float | None,
    json_output: bool,
    address: Endpoint,
    profile: str,
) -> None:
    """Find entities and classes in texts."""
    with GatewayClient(address) as gateway:
        response = gateway.extract(model, texts, labels, threshold, profile)
    if json_output:
        click.echo(json.dumps(fmt.as_json(response)))
    else:
        coloured = sys.stdout.isatty()
        lines = highlight.extracted(texts, response.items, coloured=coloured)
        click.echo("\n".join(lines))
    if any(item.HasField("error") for item in response.items):
        raise click.exceptions.Exit(1)
