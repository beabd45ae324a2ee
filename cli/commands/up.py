"""`sie up`: a cluster on this machine, from nothing to the first embedding to Ctrl-C."""

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click

from cli import data_dir as folder
from cli import hints, tls
from cli.api_key import api_key
from cli.commands.version import installed_version
from cli.errors import CommandError
from cli.first_embedding import SENTENCE, first_embedding
from cli.interrupt import Interrupt, Interrupted
from cli.local_stack import LocalStack, preloaded_models
from cli.log_follower import LogFollower
from cli.managed_process import ManagedProcess
from cli.ports import HOST, Ports
from cli.preloading import preloading
from cli.progress import Progress
from cli.supervisor import Supervisor

# A slow machine compiles the first engine in far less.
_READY_TIMEOUT_S = 300.0
_WAIT_TICK_S = 0.03
_SUPERVISE_TICK_S = 0.2


@click.command()
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many workers to start.",
)
@click.option(
    "--http-port",
    envvar="SIE_HTTP_PORT",
    default="8080",
    show_default=True,
    help="HTTP port of the gateway; also SIE_HTTP_PORT.",
)
@click.option(
    "--grpc-port",
    envvar="SIE_GRPC_PORT",
    default="9090",
    show_default=True,
    help="gRPC port of the gateway; also SIE_GRPC_PORT.",
)
@click.option(
    "--data-dir",
    default=".sie",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder for the registry, compiled engines and logs.",
)
@click.option("--verbose", is_flag=True, help="Show the logs of all processes.")
def command(workers: int, http_port: str, grpc_port: str, data_dir: Path, verbose: bool) -> None:
    """Start a broker, a config service, workers and a gateway here, and run until Ctrl-C."""
    _expect_to_be_let_in(os.environ)
    progress = Progress()
    chosen = {"SIE_HTTP_PORT": http_port, "SIE_GRPC_PORT": grpc_port}
    with folder.locked(data_dir):
        shared = os.environ.get("SIE_CACHE_DIR")
        stack = LocalStack(
            data_dir,
            ports=Ports.from_environment(os.environ | chosen),
            cache_dir=Path(shared).resolve() if shared else None,
        )
        with Interrupt(_say_stopping, lambda: _kill_now(stack)) as interrupt:
            try:
                _bring_up(stack, workers, progress, interrupt)
                _supervise(stack, interrupt, verbose=verbose)
            except Interrupted:
                pass
            finally:
                progress.clear()
                stack.stop()
    click.echo("stopped")


def _expect_to_be_let_in(environment: Mapping[str, str]) -> None:
    """Raises CommandError where the gateway to be would refuse the questions that follow."""
    if environment.get("SIE_AUTH_MODE") == "static" and not api_key():
        raise CommandError(
            "callers need a token here (SIE_AUTH_MODE), and this asks as they do: "
            "set SIE_API_KEY to one of theirs"
        )
    ours = tls.of_environment(environment)
    if environment.get("SIE_TLS_CLIENT_CA") and not ours.certificate:
        raise CommandError(
            "callers must show a certificate here (SIE_TLS_CLIENT_CA), and this asks as they do: "
            f"set {tls.CERTIFICATE} and {tls.PRIVATE_KEY} to the files of one"
        )


def _bring_up(stack: LocalStack, workers: int, progress: Progress, interrupt: Interrupt) -> None:
    click.echo(f"sie {installed_version()}, data in {stack.directory}")
    if (host := os.environ.get("SIE_HOST", HOST)) != HOST:
        click.echo(f"SIE_HOST={host} is passed over: all of this listens on {HOST} only")
    cache = "warm" if folder.holds_engines(stack.cache_dir) else "cold"
    stack.launch(workers)
    progress.done("broker", stack.nats_url)
    loaded = _wait_ready(stack, progress, interrupt)
    if not loaded:
        raise CommandError(
            "no model could be loaded, so there is nothing to serve; "
            "SIE_PRELOAD_MODELS names others that are defined"
        )
    for model in filter(loaded.__contains__, preloaded_models()):
        vector = first_embedding(stack.ports.http, model, interrupt.sleep, stack.tls)
        if vector is not None:
            shown = ", ".join(f"{value:.4f}" for value in vector[:4])
            detail = f"[{shown}, ...] {len(vector)} dims, engine cache {cache}"
            progress.done("first embedding", detail)
            click.echo(f'\n{model} on "{SENTENCE}". {_try_next(stack, model)}')
            break
    click.echo(f"\nlogs in {stack.logs_dir}; Ctrl-C stops everything\n")


def _try_next(stack: LocalStack, model: str) -> str:
    certificate = os.environ.get("SIE_TLS_CERT")
    if not certificate:
        shown = hints.try_next(stack.http_url, stack.grpc_address, model, tls.Tls())
        return f"Try next:\n\n{shown}"
    files = tls.of_environment(os.environ)
    files = replace(files, ca_file=files.ca_file or Path(certificate).absolute())
    try:
        name = tls.name_of_own_gateway(stack.ports.http, files)
    except OSError as error:
        return f"Callers on this machine cannot trust its certificate: {error}"
    http, grpc = f"https://{name}:{stack.ports.http}", f"{name}:{stack.ports.grpc}"
    return f"Try next:\n\n{hints.try_next(http, grpc, model, files)}"


def _wait_ready(stack: LocalStack, progress: Progress, interrupt: Interrupt) -> set[str]:
    """Returns when all is ready, with the models that were loaded."""
    loaded: set[str] = set()
    details = {
        "config": stack.config_address,
        "gateway-1": f"{stack.http_url}, gRPC {stack.grpc_address}",
    }
    pending = [process for process in stack.processes.values() if process.name != "broker"]
    while pending:
        progress.waiting(map(_awaited, pending))
        interrupt.sleep(_WAIT_TICK_S)
        for process in stack.processes.values():
            # What was ready and has ended is what others may be waiting for.
            process.expect_running()
        for process in [process for process in pending if process.has_started()]:
            if _is_worker(process):
                found = preloading(stack.ports.http, process.name, preloaded_models(), stack.tls)
                if found is None:
                    continue
                loaded.update(found.loaded)
                details[process.name] = found.summary
            pending.remove(process)
            progress.done(process.name, details[process.name])
        if progress.seconds > _READY_TIMEOUT_S:
            pending[0].wait_ready(timeout=0)
            raise CommandError(f"the gateway does not hear of {pending[0].name}")
    return loaded


def _is_worker(process: ManagedProcess) -> bool:
    return process.env.get("SIE_WORKER_ID") == process.name


def _awaited(process: ManagedProcess) -> str:
    return f"{process.name} (loading its model)" if _is_worker(process) else process.name


def _supervise(stack: LocalStack, interrupt: Interrupt, *, verbose: bool) -> None:
    processes = list(stack.processes.values())
    supervisor = Supervisor(processes, _say)
    follower = LogFollower(processes if verbose else [], click.echo)
    while True:
        supervisor.tick()
        follower.tick()
        interrupt.sleep(_SUPERVISE_TICK_S)


def _say(message: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')}  {message}")


def _say_stopping() -> None:
    click.echo("\nstopping: accepted work is finished first (Ctrl-C again ends at once)")


def _kill_now(stack: LocalStack) -> None:
    # Sends and does not wait: what this interrupted may hold the locks that waiting needs.
    for process in list(stack.processes.values()):
        process.kill()
