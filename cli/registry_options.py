"""Options that commands of the registry share, beside those of all commands."""

from collections.abc import Sequence
from pathlib import Path

import click

from cli.client import CallError
from cli.errors import CommandError
from cli.registry_client import RegistryClient
from cli.registry_files import Definitions, read_definitions
from servicekit.yaml_nodes import DefinitionError
from sie.registry.v1.registry_admin_service_pb2 import ImportRegistryResponse

filename = click.option(
    "-f",
    "--filename",
    "path",
    required=True,
    type=click.Path(path_type=Path),
    help="A file of definitions, or a directory of them.",
)
prune = click.option(
    "--prune",
    is_flag=True,
    help="Delete definitions that are not in the files, of the kinds that are.",
)
# Revisions as the protocol has them; 0 is the newest, or none in particular.
REVISION = click.IntRange(0, 2**63 - 1)
dry_run = click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")


def read(path: Path) -> Definitions:
    """The definitions at a path; raises CommandError naming file, line and field."""
    try:
        return read_definitions(path)
    except DefinitionError as error:
        raise CommandError(str(error)) from None


def apply(
    registry: RegistryClient,
    definitions: Definitions,
    *,
    prune: Sequence[str],
    dry_run: bool,
    expected_revision: int = 0,
) -> ImportRegistryResponse:
    """Applies definitions; a refusal is told at the file and line that it is about."""
    try:
        return registry.apply(
            definitions.document, prune, dry_run=dry_run, expected_revision=expected_revision
        )
    except CallError as failed:
        problem = definitions.explain(failed.error) if failed.error else None
        raise CommandError(problem) if problem else failed from None
