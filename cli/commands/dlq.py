"""Work that was given up: look at it, try it again, throw it away."""

import sys

import click
from google.protobuf import json_format

from cli import options
from cli.client import GatewayClient
from cli.endpoint import Endpoint
from servicekit.errors import code_of, from_proto
from sie.operations.v1.dead_letter_pb2 import DeadLetter, ReplayOutcome, ReplayState

_pool = click.option("--pool", default="", help="Only of this pool.")
_model = click.option("--model", default="", help="Only of this model.")


@click.group()
@options.group_address
def command() -> None:
    """Dead letters: work that was given up."""


@command.command("list")
@_pool
@_model
@options.json_output
@options.address
def list_letters(pool: str, model: str, json_output: bool, address: Endpoint) -> None:
    """List letters, oldest first."""
    with GatewayClient(address) as gateway:
        letters = gateway.list_dead_letters(pool, model)
    if json_output:
        click.echo(f"[{','.join(_json(letter) for letter in letters)}]")
    elif not letters:
        click.echo("no dead letters")
    else:
        click.echo(f"{'ID':<8}{'DIED':<21}{'REASON':<20}{'TRIES':<7}{'ITEMS':<7}{'POOL':<12}MODEL")
        for letter in letters:
            click.echo(_row(letter))


@command.command()
@click.argument("letter_id")
@options.address
def show(letter_id: str, address: Endpoint) -> None:
    """Show one letter with its work item, as JSON."""
    with GatewayClient(address) as gateway:
        click.echo(_json(gateway.get_dead_letter(letter_id)))


@command.command()
@click.argument("letter_ids", nargs=-1, required=True)
@options.address
def replay(letter_ids: tuple[str, ...], address: Endpoint) -> None:
    """Have letters computed again; those that get a result are removed.

    Nobody gets the results: the callers of old have gone.
    """
    with GatewayClient(address) as gateway:
        outcomes = [gateway.replay_dead_letter(letter_id) for letter_id in letter_ids]
    for outcome in outcomes:
        click.echo(f"{outcome.letter_id}: {_told(outcome)}")
    if any(outcome.state != ReplayState.REPLAY_STATE_ANSWERED for outcome in outcomes):
        sys.exit(1)


@command.command()
@click.argument("letter_ids", nargs=-1)
@_pool
@_model
@click.option("--all", "every", is_flag=True, help="All that match, where no letter is named.")
@options.address
def purge(
    letter_ids: tuple[str, ...], pool: str, model: str, every: bool, address: Endpoint
) -> None:
    """Remove letters for good."""
    if not letter_ids and not every:
        raise click.UsageError("name letters, or say --all")
    with GatewayClient(address) as gateway:
        purged = gateway.purge_dead_letters(letter_ids, pool, model, every=every)
    click.echo(f"{purged} purged")


def _row(letter: DeadLetter) -> str:
    died = letter.died_at.ToDatetime().strftime("%Y-%m-%d %H:%M:%S")
    return (
        f"{letter.letter_id:<8}{died:<21}{letter.reason:<20}{letter.attempts:<7}"
        f"{letter.item_count:<7}{letter.pool:<12}{letter.model_id}"
    )


def _told(outcome: ReplayOutcome) -> str:
    if outcome.state == ReplayState.REPLAY_STATE_ANSWERED:
        return f"answered by {outcome.worker_id}, removed"
    if outcome.state == ReplayState.REPLAY_STATE_FAILED:
        error = from_proto(outcome.error)
        return f"failed again, kept: {error.message} [{code_of(error.reason)}]"
    return "no result in time, kept"


def _json(letter: DeadLetter) -> str:
    return json_format.MessageToJson(letter, preserving_proto_field_name=True)
