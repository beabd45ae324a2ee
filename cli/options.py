"""Options that commands share."""

import click

from cli.client import default_address

address = click.option(
    "--address",
    default=default_address,
    show_default="127.0.0.1:$SIE_GRPC_PORT",
    help="host:port of the gateway's gRPC face.",
)
json_output = click.option("--json", "json_output", is_flag=True, help="Print everything as JSON.")
profile = click.option("--profile", default="", help="Profile of the model, when not its default.")
