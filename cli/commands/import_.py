from pathlib import Path

import click

from cli.model_archive import read_archive


@click.command()
@click.argument("archive", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--to", "target", required=True, type=click.Path(path_type=Path), help="Directory to fill."
)
def command(archive: Path, target: Path) -> None:
    """Check an archive that `sie export` wrote, and unpack its models."""
    for model_id in read_archive(archive, target):
        click.echo(model_id)
    click.echo(f"Serve them with SIE_MODELS_DIR={target / 'models'}")
