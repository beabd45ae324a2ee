"""Batches of many requests, which are computed when there is time."""

import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import click

from cli import format as fmt
from cli import options
from cli.batch_client import BatchClient
from cli.client import CallError
from cli.errors import CommandError
from sie.batch.v1.batch_pb2 import Batch, BatchStatus
from sie.batch.v1.batch_service_pb2 import CreateBatchRequest

_ENDED = frozenset(
    {
        BatchStatus.BATCH_STATUS_COMPLETED,
        BatchStatus.BATCH_STATUS_FAILED,
        BatchStatus.BATCH_STATUS_EXPIRED,
        BatchStatus.BATCH_STATUS_CANCELLED,
    }
)
_LOOK_EVERY_S = 0.5
# The batch goes on while gateways come and go.
_AWAY_S = 60.0


class _Batches:
    def __init__(self, client: BatchClient, json_output: bool) -> None:
        self.client = client
        self._json_output = json_output

    def show(self, batches: Iterable[Batch]) -> None:
        found = list(batches)
        if self._json_output:
            click.echo(json.dumps({"batches": [fmt.as_json(batch) for batch in found]}))
            return
        click.echo("\n".join(fmt.batch_table(found)))
        for batch in found:
            for error in batch.errors.data:
                place = f"line {error.line}: " if error.HasField("line") else ""
                click.echo(f"{batch.id}  {place}{error.message} [{error.code}]")

    def show_end(self, batch_id: str) -> None:
        """Waits, and ends the command with 1 unless the batch is completed."""
        batch = self._until_ended(batch_id)
        self.show([batch])
        if batch.status != BatchStatus.BATCH_STATUS_COMPLETED:
            raise click.exceptions.Exit(1)

    def _until_ended(self, batch_id: str) -> Batch:
        """Waits, and shows how far the batch is where that is a terminal."""
        heard_at = time.monotonic()
        while True:
            try:
                batch = self.client.get(batch_id)
            except CallError as failed:
                if not failed.may_pass:
                    raise
                if time.monotonic() - heard_at > _AWAY_S:
                    advice = f"{batch_id} may go on: sie batch wait {batch_id}"
                    raise CommandError(f"{failed.message}\n{advice}") from None
                time.sleep(_LOOK_EVERY_S)
                continue
            heard_at = time.monotonic()
            has_ended = batch.status in _ENDED
            if sys.stderr.isatty():
                counts = batch.request_counts
                done = counts.completed + counts.failed
                click.echo(f"\r\033[K  {batch_id}  {done}/{counts.total}", nl=has_ended, err=True)
            if has_ended:
                return batch
            time.sleep(_LOOK_EVERY_S)


_connected = options.connected(BatchClient, _Batches)


@click.group()
@options.group_json_output
@options.group_address
def command() -> None:
    """Run many requests from a file: create, list, show, wait, results, cancel, delete."""


@command.command()
@click.argument("source", metavar="FILE|URL")
@click.option(
    "--endpoint",
    default="/v1/encode",
    show_default=True,
    help="Path that the requests are for, such as /v1/embeddings.",
)
@click.option("--window", default="24h", show_default=True, help="How long it may take.")
@click.option("--output", default="", metavar="URL", help="Where to write the results as well.")
@click.option("--wait", is_flag=True, help="Wait for its end; exit with 1 unless it is completed.")
@_connected
def create(
    batches: _Batches, source: str, endpoint: str, window: str, output: str, wait: bool
) -> None:
    """Begin a batch of the requests in a file, one a line, or at a URL that the server reads."""
    request = CreateBatchRequest(endpoint=endpoint, completion_window=window, output_uri=output)
    if "://" in source:
        request.input_uri = source
    else:
        path = Path(source)
        if not path.is_file():
            raise CommandError(f"{source}: no such file")
        request.input_file_id = batches.client.upload(path).id
    batch = batches.client.create(request)
    if wait:
        batches.show_end(batch.id)
    else:
        batches.show([batch])


@command.command("list")
@_connected
def list_batches(batches: _Batches) -> None:
    """List batches, the newest first."""
    batches.show(batches.client.list())


@command.command()
@click.argument("batch_id")
@_connected
def show(batches: _Batches, batch_id: str) -> None:
    """Show one batch."""
    batches.show([batches.client.get(batch_id)])


@command.command()
@click.argument("batch_id")
@_connected
def wait(batches: _Batches, batch_id: str) -> None:
    """Wait for a batch to end; exit with 1 unless it is completed."""
    batches.show_end(batch_id)


@command.command()
@click.argument("batch_id")
@click.option("--errors", is_flag=True, help="Those that failed, in place of those that did not.")
@click.option("-o", "--output", type=click.File("wb", lazy=True), default="-", help="Where to.")
@_connected
def results(batches: _Batches, batch_id: str, errors: bool, output: BinaryIO) -> None:
    """Write the results of a batch, one a line."""
    batch = batches.client.get(batch_id)
    if file_id := batch.error_file_id if errors else batch.output_file_id:
        for part in batches.client.read(file_id):
            click.echo(part, file=output, nl=False)


@command.command()
@click.argument("batch_id")
@_connected
def cancel(batches: _Batches, batch_id: str) -> None:
    """Stop a batch; what was computed can still be read."""
    batches.show([batches.client.cancel(batch_id)])


@command.command()
@click.argument("batch_id")
@_connected
def delete(batches: _Batches, batch_id: str) -> None:
    """Forget a batch that has ended, not its files."""
    batches.client.delete(batch_id)
    click.echo(f"{batch_id} is deleted")
