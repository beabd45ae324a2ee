from pathlib import Path

import click

from cli import options, registry_options
from cli import registry_format as fmt
from cli.endpoint import Endpoint
from cli.registry_client import RegistryClient


@click.command()
@registry_options.filename
@registry_options.prune
@registry_options.dry_run
@click.option(
    "--expected-revision",
    default=0,
    type=registry_options.REVISION,
    help="Refuse unless the registry is at this revision.",
)
@options.address
def command(
    path: Path, prune: bool, dry_run: bool, expected_revision: int, address: Endpoint
) -> None:
    """Make the registry hold what files define."""
    definitions = registry_options.read(path)
    with RegistryClient(address) as registry:
        response = registry_options.apply(
            registry,
            definitions,
            prune=definitions.kinds if prune else (),
            dry_run=dry_run,
            expected_revision=expected_revision,
        )
    for line in fmt.changes(response.changes):
        click.echo(line)
    did = fmt.summary(response.changes) or "nothing to change"
    click.echo(f"{did}{' (dry run)' if dry_run else ''}; revision {response.revision}")
