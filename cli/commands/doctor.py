"""`sie doctor`: what is wrong with a cluster, and what to do about it."""

import json
import os
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import click

from cli import options
from cli.api_key import api_key
from cli.doctor import broker_facts, gateway_facts, machine
from cli.doctor.broker import broker
from cli.doctor.cluster import cluster, gateway
from cli.doctor.finding import Finding, Level, as_json, as_lines, failed
from cli.local_stack import PROCESSES_FILE, read_processes
from cli.ports import HOST
from cli.tls import Tls
from servicekit.settings import without_credentials

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def _default_url(here: Mapping[str, Mapping[str, int]], tls: Tls) -> str:
    gateway = here.get("gateway-1", {})
    scheme = "https" if tls.is_given or gateway.get("tls") else "http"
    return f"{scheme}://{HOST}:{os.environ.get('SIE_HTTP_PORT') or gateway.get('port', 8080)}"


@click.command()
@click.argument("url", required=False)
@click.option("--broker", "broker_url", envvar="SIE_NATS_URL", help="nats://host:port, to ask too.")
@click.option(
    "--data-dir",
    default=".sie",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder of the stack on this machine.",
)
@options.certificates
@click.option("--min-disk-gib", default=2.0, show_default=True, help="Least room on the disk.")
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too.")
@click.option("--json", "json_output", is_flag=True, help="Print the findings as JSON.")
def command(
    url: str | None,
    broker_url: str | None,
    data_dir: Path,
    tls: Tls,
    min_disk_gib: float,
    strict: bool,
    json_output: bool,
) -> None:
    """Say what is wrong with the cluster behind a gateway, and what to do.

    URL is the gateway's, by default that of the stack here, else http://127.0.0.1:8080; the
    variable SIE_HTTP_PORT names another port. Its machine is looked at
    where it is this one. Where callers need a token, SIE_API_KEY is sent. Exits with 1 when
    something does not work.
    """
    here = read_processes(data_dir)
    url = url or _default_url(here, tls)
    facts = gateway_facts.gather(url, api_key(), tls)
    findings = [*gateway(facts), *cluster(facts)]
    is_local = urlsplit(url).hostname in _LOOPBACK
    found = here if is_local else {}
    if not broker_url and "broker" in found:
        broker_url = f"nats://{HOST}:{found['broker']['port']}"
    findings += _broker(broker_url)
    if is_local:
        findings += _machine(data_dir, found, min_disk_gib, tls.of_own_gateway())
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
    data_dir: Path,
    found: dict[str, dict[str, int]],
    min_disk_gib: float,
    context: ssl.SSLContext,
) -> Iterable[Finding]:
    yield machine.disk(data_dir, min_disk_gib)
    if found:
        yield from machine.processes(found, data_dir / "logs", context)
    else:
        message = f"no stack has written {data_dir / PROCESSES_FILE}"
        yield Finding("ports", Level.SKIPPED, message, "name its folder with --data-dir")
    yield machine.gpu()
