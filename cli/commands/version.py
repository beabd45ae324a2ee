from importlib.metadata import PackageNotFoundError, version

import click


@click.command()
def command() -> None:
    """Print the version."""
    click.echo(f"sie {installed_version()}")


def installed_version() -> str:
    try:
        return version("sie")
    except PackageNotFoundError:
        return "(not installed)"
