import tempfile
from pathlib import Path

import click

from worker.checkpoint.config import CheckpointError
from worker.engine import EngineError
from worker.engines.catalog import ENGINES, at_hand, engine_kind
from worker.verify import Comparison, Verification, verify


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--reference",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What the original implementation answers; DIRECTORY/reference.npz by default.",
)
@click.option(
    "--engine",
    "engines",
    multiple=True,
    type=click.Choice(list(ENGINES)),
    help="Which engine to verify; may be repeated. All at hand by default.",
)
def command(directory: Path, reference: Path | None, engines: tuple[str, ...]) -> None:
    """Hold a checkpoint, compiled, to the outputs of its original implementation.

    DIRECTORY has inputs.json beside the checkpoint's files. Exits with 1 where an output is
    beyond its tolerance.
    """
    try:
        kinds = [engine_kind(name) for name in engines] or at_hand()
        with tempfile.TemporaryDirectory() as work:
            result = verify(directory, reference or directory / "reference.npz", kinds, Path(work))
    except (CheckpointError, EngineError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo("\n".join(_table(result)))
    if not result.agrees:
        raise click.exceptions.Exit(1)


def _table(result: Verification) -> list[str]:
    head = f"{'engine':26} {'output':18} {'reference':24} {'difference':>10} {'cosine':>10}"
    lines = [head, *map(_line, result.comparisons)]
    if result.not_compared:
        lines.append(f"not compared: {', '.join(result.not_compared)}")
    return lines


def _line(each: Comparison) -> str:
    verdict = "ok" if each.agrees else "FAILED"
    bound = f"{'<=' if each.exact else 'cosine >='} {each.allowed:g}"
    return (
        f"{each.engine:26} {each.output:18} {each.array:24} "
        f"{each.difference:10.2e} {each.cosine:10.7f}  {verdict} ({bound})"
    )
