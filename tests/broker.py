"""A real broker for tests that need nothing else of the stack."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from cli import broker
from cli.local_stack import LocalStack
from cli.managed_process import stop_all
from cli.ports import HOST, free_port


class Broker:
    """A broker with JetStream, which keeps what it is told to between a stop and a start.

    Args:
        directory: of its configuration, log and store.
        port: a free one by default.
        text: of its configuration, in place of a local stack's.
    """

    def __init__(self, directory: Path, port: int | None = None, text: str | None = None) -> None:
        self.port = port or free_port()
        config = directory / "broker.conf"
        broker.write_config(config, port=self.port, store_dir=directory / "store")
        if text is not None:
            config.write_text(f"host: {HOST}\nport: {self.port}\n{text}")
        self._process = broker.process(config, directory / "broker.log", self.port)

    @property
    def url(self) -> str:
        return f"nats://{HOST}:{self.port}"

    def start(self) -> None:
        """Returns when it listens."""
        self._process.start()
        self._process.wait_ready()

    def stop(self) -> None:
        stop_all([self._process], 10.0)

    def restart(self) -> None:
        self.stop()
        self.start()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(60)


@contextlib.contextmanager
def running(directory: Path, port: int | None = None, text: str | None = None) -> Iterator[str]:
    """The URL of a broker that ends with the block; see Broker."""
    server = Broker(directory, port, text)
    server.start()
    try:
        yield server.url
    finally:
        server.kill()


def stop(stack: LocalStack) -> None:
    """Ends a stack's broker, which keeps its store."""
    stop_all([stack.processes["broker"]], 10.0)
