from pathlib import Path

import click

from cli import format as table
from cli import options, registry_options
from cli import registry_format as fmt
from cli.endpoint import Endpoint
from cli.registry_client import RegistryClient, Resource
from cli.registry_files import KINDS
from servicekit.definition_yaml import write


@click.group()
@options.group_address
def command() -> None:
    """Look into the registry's past, bring it back, and carry it elsewhere."""


@command.command()
@click.argument("resource", required=False)
@click.option(
    "-n",
    "most",
    default=20,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many commits.",
)
@options.address
def history(resource: str | None, most: int, address: Endpoint) -> None:
    """List the newest commits, of one definition (model/ID, bundle/ID, ...) or of all."""
    named = Resource(resource) if resource else None
    with RegistryClient(address) as registry:
        found = registry.history(named, most)
    if named and not found:
        click.echo(f"the registry remembers no {resource}", err=True)
    click.echo("\n".join(table.table(fmt.revisions(found))))


@command.command()
@click.argument("first", type=registry_options.REVISION)
@click.argument("last", type=registry_options.REVISION, default=0)
@options.address
def diff(first: int, last: int, address: Endpoint) -> None:
    """Show what differs between two revisions; LAST is the newest by default."""
    with RegistryClient(address) as registry:
        for line in fmt.changes(registry.diff(first, last).changes):
            click.echo(line)


@command.command()
@click.argument("revision", type=registry_options.REVISION)
@click.argument("resource", required=False)
@registry_options.dry_run
@options.address
def rollback(revision: int, resource: str | None, dry_run: bool, address: Endpoint) -> None:
    """Bring one definition (model/ID, ...), or all, back to what they were at a revision."""
    named = Resource(resource) if resource else None
    with RegistryClient(address) as registry:
        response = registry.rollback(revision, named, dry_run=dry_run)
    for line in fmt.changes(response.changes):
        click.echo(line)
    did = fmt.summary(response.changes) or "nothing to change"
    click.echo(f"{did}{' (dry run)' if dry_run else ''}; revision {response.revision}")


@command.command()
@click.argument("resource")
@options.address
def delete(resource: str, address: Endpoint) -> None:
    """Delete a definition (model/ID, bundle/ID or machine_profile/ID)."""
    with RegistryClient(address) as registry:
        click.echo(f"deleted {resource}; revision {registry.delete(Resource(resource))}")


@command.command("export")
@click.option(
    "--revision",
    default=0,
    type=registry_options.REVISION,
    help="Which revision, when not the newest.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File, when not stdout.")
@options.address
def export_(revision: int, output: Path | None, address: Endpoint) -> None:
    """Write every definition as one YAML document, for `sie apply -f`."""
    with RegistryClient(address) as registry:
        text = write(registry.export(revision))
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text)


@command.command("import")
@click.argument("document", type=click.Path(path_type=Path))
@registry_options.dry_run
@options.address
def import_(document: Path, dry_run: bool, address: Endpoint) -> None:
    """Make the registry hold exactly the definitions of a document that `export` wrote."""
    definitions = registry_options.read(document)
    with RegistryClient(address) as registry:
        response = registry_options.apply(registry, definitions, prune=KINDS, dry_run=dry_run)
    did = fmt.summary(response.changes) or "nothing to change"
    click.echo(f"{did}{' (dry run)' if dry_run else ''}; revision {response.revision}")


@command.command()
@click.argument("model")
@options.address
def status(model: str, address: Endpoint) -> None:
    """Show which workers and gateways have applied a model's newest definition."""
    with RegistryClient(address) as registry:
        click.echo("\n".join(fmt.status(registry.status(model))))
