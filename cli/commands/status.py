import http.client
import os

import click

from cli import format as fmt
from cli import options
from cli.client import GatewayClient
from cli.endpoint import Endpoint
from cli.errors import CommandError
from cli.probes import http_get


def _default_http_address() -> str:
    return f"127.0.0.1:{os.environ.get('SIE_HTTP_PORT', '8080')}"


@click.command()
@options.address
@click.option(
    "--http-address",
    default=_default_http_address,
    show_default="127.0.0.1:$SIE_HTTP_PORT",
    help="host:port of the gateway's HTTP face.",
)
def command(address: Endpoint, http_address: str) -> None:
    """Show whether a gateway is ready, its models and its workers. Exit code 1 when not ready."""
    ready = _readiness(http_address, address)
    click.echo(f"gateway  {http_address}  {'ready' if ready else 'not ready'}")
    with GatewayClient(address) as gateway:
        found = gateway.list_models()
    workers = sorted({worker for model in found for worker in model.workers})
    click.echo(f"workers  {', '.join(workers) or 'none serves a model'}")
    click.echo("\n".join(["", *fmt.model_table(found)]))
    if not ready:
        raise click.exceptions.Exit(1)


def _readiness(http_address: str, endpoint: Endpoint) -> bool:
    host, _, port = http_address.rpartition(":")
    if not host or not port.isdecimal():
        raise CommandError(f"{http_address!r} is no address: host:port is expected")
    tls = endpoint.tls.context() if endpoint.is_secure else None
    try:
        answer = http_get(host, int(port), "/readyz", timeout_s=5.0, tls=tls)
    except (OSError, http.client.HTTPException) as error:
        raise CommandError(
            f"no gateway answers at {http_address}: {_problem(error)}\n"
            f"{endpoint.advice(_problem(error))}"
        ) from None
    return answer.status == http.HTTPStatus.OK


def _problem(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
