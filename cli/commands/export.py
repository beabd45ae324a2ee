import os
from pathlib import Path

import click

from cli.errors import CommandError
from cli.model_archive import Exported, write_archive
from servicekit.definitions import read_directory
from servicekit.yaml_nodes import DefinitionError
from sie.registry.v1.model_pb2 import Model
from worker.checkpoint.config import CheckpointError
from worker.sources import HubSettings, Locator, SourceError
from worker.sources.patterns import needed


@click.command()
@click.argument("model_ids", metavar="MODEL...", nargs=-1, required=True)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="File to write."
)
@click.option(
    "--models-dir",
    default=lambda: Path(os.environ.get("SIE_MODELS_DIR", "models")),
    type=click.Path(path_type=Path),
    show_default="$SIE_MODELS_DIR or models",
    help="Where the definitions are.",
)
@click.option(
    "--cache-dir",
    default=lambda: Path(os.environ.get("SIE_CACHE_DIR", "~/.cache/sie")).expanduser(),
    type=click.Path(path_type=Path),
    show_default="$SIE_CACHE_DIR or ~/.cache/sie",
    help="Where fetched files are kept.",
)
def command(model_ids: tuple[str, ...], output: Path, models_dir: Path, cache_dir: Path) -> None:
    """Write models with all their files into one archive, for `sie import` elsewhere."""
    try:
        definitions = read_directory(models_dir, Model)
    except DefinitionError as error:
        raise CommandError(str(error)) from error
    found = {model.model_id: (file, model) for file, model in definitions.items()}
    locator = Locator(cache_dir, _hub())
    models = [_exported(model_id, found, locator) for model_id in dict.fromkeys(model_ids)]
    size = write_archive(output, models)
    click.echo(f"{output}: {len(models)} models, {size / 1e6:.1f} MB")


def _exported(model_id: str, found: dict[str, tuple[Path, Model]], locator: Locator) -> Exported:
    if model_id not in found:
        known = ", ".join(sorted(found)) or "none"
        raise CommandError(f"no model '{model_id}' is defined; defined are: {known}")
    file, model = found[model_id]
    try:
        directory = locator.locate(model.sources)
    except (SourceError, CheckpointError) as error:
        raise CommandError(f"{model_id}: {error}") from error
    files = [path for path in directory.rglob("*") if path.is_file()]
    names = needed(path.relative_to(directory).as_posix() for path in files)
    return Exported(model_id, file, directory, tuple(names))


def _hub() -> HubSettings:
    endpoint = os.environ.get("HF_ENDPOINT", HubSettings().endpoint)
    offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true"}
    return HubSettings(endpoint.rstrip("/"), os.environ.get("HF_TOKEN", ""), offline)
