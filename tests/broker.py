"""A real broker for tests that need nothing else of the stack."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from cli import broker, probes
from cli.local_stack import LocalStack
from cli.managed_process import ManagedProcess, stop_all
from cli.ports import HOST, free_port


@contextlib.contextmanager
def running(directory: Path, port: int | None = None) -> Iterator[str]:
    """The URL of a broker with JetStream that ends with the block."""
    port = port or free_port()
    config = directory / "broker.conf"
    broker.write_config(config, port=port, store_dir=directory / "store")
    process = ManagedProcess(
        "broker",
        [broker.find_server(), "-c", str(config)],
        directory / "broker.log",
        env=os.environ,
        probe=probes.listening(HOST, port),
    )
    process.start()
    try:
        process.wait_ready(15)
        yield f"nats://{HOST}:{port}"
    finally:
        process.kill()
        process.wait(5)


def stop(stack: LocalStack) -> None:
    """Ends a stack's broker, which keeps its store."""
    stop_all([stack.processes["broker"]], 10.0)
