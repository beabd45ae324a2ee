import json
import socket
from pathlib import Path

import nats
import pytest

from cli import data_dir
from cli.broker import MAX_PAYLOAD_BYTES
from cli.errors import CommandError
from cli.local_stack import LocalStack
from cli.ports import HOST, is_free
from tests import broker


async def test_the_broker_starts_with_jetstream_and_keeps_its_store(
    local_stack: LocalStack,
) -> None:
    local_stack.start_broker()
    client = await nats.connect(local_stack.nats_url)
    assert client.max_payload == MAX_PAYLOAD_BYTES
    await client.jetstream().add_stream(name="KEPT", subjects=["kept"])
    await client.close()

    broker.stop(local_stack)
    assert is_free(local_stack.ports.broker)

    local_stack.start_broker()
    client = await nats.connect(local_stack.nats_url)
    assert (await client.jetstream().stream_info("KEPT")).config.name == "KEPT"
    await client.close()


def test_stop_leaves_nothing_running(local_stack: LocalStack) -> None:
    process = local_stack.start_broker()
    local_stack.stop()
    assert not process.is_running
    assert is_free(local_stack.ports.broker)


def test_a_second_start_of_a_running_process_is_refused(local_stack: LocalStack) -> None:
    local_stack.start_broker()
    with pytest.raises(AssertionError, match="broker runs already"):
        local_stack.start_broker()


def test_a_broker_that_cannot_listen_is_reported(local_stack: LocalStack) -> None:
    with socket.create_server((HOST, local_stack.ports.broker)) as listener:
        listener.close()
        local_stack.directory.mkdir(parents=True)
        (local_stack.directory / "broker").write_text("a file where the store should be")
        with pytest.raises(CommandError, match="broker ended with exit code 1"):
            local_stack.start_broker()


def test_the_broker_listens_on_loopback_only(local_stack: LocalStack) -> None:
    local_stack.start_broker()
    settings = json.loads((local_stack.directory / "broker.conf").read_text())
    assert settings["host"] == "127.0.0.1"


def test_a_data_folder_serves_one_stack_at_a_time(tmp_path: Path) -> None:
    with (
        data_dir.locked(tmp_path),
        pytest.raises(CommandError, match=r"another `sie up` uses .*--data-dir"),
        data_dir.locked(tmp_path),
    ):
        pass


def test_engines_are_seen_in_the_cache(tmp_path: Path) -> None:
    assert not data_dir.holds_engines(tmp_path / "missing")
    (tmp_path / "engine").mkdir()
    assert not data_dir.holds_engines(tmp_path)
    (tmp_path / "engine" / "model.onnx").write_bytes(b"...")
    assert data_dir.holds_engines(tmp_path)
