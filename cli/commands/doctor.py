"""`sie doctor`: what is wrong with a cluster, and what to do about it."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import click

from cli.api_key import api_key
from cli.doctor import broker_facts, gateway_facts, machine
from cli.doctor.broker import broker
from cli.doctor.cluster import cluster, gateway
from cli.doctor.finding import Finding, Level, as_json, as_lines, failed
from cli.local_stack import PROCESSES_FILE, read_processes
from cli.ports import HOST
from servicekit.settings import without_credentials

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def _default_url() -> str:
    return f"http://{HOST}:{os.environ.get('SIE_HTTP_PORT', '8080')}"


@click.command()
@click.argument("url", default=_default_url)
@click.option("--broker", "broker_url", envvar="SIE_NATS_URL", help="nats://host:port, to ask too.")
@click.option(
    "--data-dir",
    default=".sie",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder of the stack on this machine.",
)
@click.option(
    "--ca-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Who has signed the gateway's certificate.",
)
@click.option(
    "--certificate",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Shown to a gateway that asks callers for one; with its key, or see --private-key.",
)
@click.option(
    "--private-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Of the certificate.",
)
@click.option("--min-disk-gib", default=2.0, show_default=True, help="Least room on the disk.")
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too.")
@click.option("--json", "json_output", is_flag=True, help="Print the findings as JSON.")
def command(
    url: str,
    broker_url: str | None,
    data_dir: Path,
    ca_file: Path | None,
    certificate: Path | None,
    private_key: Path | None,
    min_disk_gib: float,
    strict: bool,
    json_output: bool,
) -> None:
    """Say what is wrong with the cluster behind a gateway, and what to do.

    URL is the gateway's, http://127.0.0.1:$SIE_HTTP_PORT by default. Its machine is looked at
    where it is this one. Where callers need a token, SIE_API_KEY is sent. Exits with 1 when
    something does not work.
    """
    tls = gateway_facts.Tls(ca_file, certificate, private_key)
    facts = gateway_facts.gather(url, api_key(), tls)
    findings = [*gateway(facts), *cluster(facts)]
    is_local = urlsplit(url).hostname in _LOOPBACK
    found = read_processes(data_dir) if is_local else {}
    if not broker_url and "broker" in found:
        broker_url = f"nats://{HOST}:{found['broker']['port']}"
    findings += _broker(broker_url)
    if is_local:
        findings += _machine(data_dir, found, min_disk_gib)
    if json_output:
        click.echo(json.dumps(as_json(findings, strict=strict)))
    else:
        click.echo("\n".join(as_lines(findings)))
    if failed(findings, strict=strict):
        raise click.exceptions.Exit(1)


def _broker(url: str | None) -> list[Finding]:
    if not url:
        message = "the broker itself was not asked"
        advice = "name it with --broker nats://HOST:PORT where it can be reached"
        return [Finding("streams", Level.SKIPPED, message, advice)]
    return broker(broker_facts.gather(url, without_credentials(url)))


def _machine(
    data_dir: Path, found: dict[str, dict[str, int]], min_disk_gib: float
) -> Iterable[Finding]:
    yield machine.disk(data_dir, min_disk_gib)
    if found:
        yield from machine.processes(found, data_dir / "logs")
    else:
        message = f"no stack has written {data_dir / PROCESSES_FILE}"
        yield Finding("ports", Level.SKIPPED, message, "name its folder with --data-dir")
    yield machine.gpu()
