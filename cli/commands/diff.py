from pathlib import Path

import click

from cli import options, registry_options
from cli import registry_format as fmt
from cli.endpoint import Endpoint
from cli.registry_client import RegistryClient


@click.command()
@registry_options.filename
@registry_options.prune
@options.address
def command(path: Path, prune: bool, address: Endpoint) -> None:
    """Show what `apply` would change. Exits with 1 if anything."""
    definitions = registry_options.read(path)
    with RegistryClient(address) as registry:
        response = registry_options.apply(
            registry, definitions, prune=definitions.kinds if prune else (), dry_run=True
        )
    for line in fmt.changes(response.changes):
        click.echo(line)
    if response.changes:
        raise click.exceptions.Exit(1)
