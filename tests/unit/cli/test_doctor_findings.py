"""What the doctor finds at the broker and on its machine, one fault at a time, each with advice."""

from dataclasses import replace
from pathlib import Path

import pytest

from cli.broker import MAX_PAYLOAD_BYTES
from cli.doctor import broker_facts, machine
from cli.doctor.broker import broker
from cli.doctor.broker_facts import BrokerFacts, StreamFacts
from cli.doctor.finding import Finding, Level
from tests import broker as local_broker

_WORK = StreamFacts("SIE_WORK_default", "file", 1, 100, 1, 1000)
_LETTERS = StreamFacts("SIE_DEAD_LETTERS", "file", 0, -1, 0, 1000)
_WELL = BrokerFacts(
    "nats://b",
    version="2.11.8",
    max_payload_bytes=MAX_PAYLOAD_BYTES,
    streams=[_WORK, _LETTERS],
)


def _told(findings: list[Finding]) -> tuple[str, Level, str, str]:
    (found,) = [each for each in findings if each.level != Level.OK]
    return found.check, found.level, found.message, found.advice


def test_a_broker_that_is_well() -> None:
    assert [each.level for each in broker(_WELL)] == [Level.OK]


@pytest.mark.parametrize(
    ("facts", "check", "level", "message", "advice"),
    [
        ({"problem": "refused"}, "broker", Level.FAILURE, "cannot be reached", "start it"),
        ({"jetstream_problem": "x"}, "broker", Level.FAILURE, "JetStream", "enable JetStream"),
        ({"max_payload_bytes": 1024}, "broker", Level.FAILURE, "1024 bytes", "set max_payload"),
        ({"streams": [_LETTERS]}, "streams", Level.FAILURE, "not there", "config service"),
        (
            {"streams": [replace(_WORK, messages=85), _LETTERS]},
            "streams",
            Level.WARNING,
            "is 85% full",
            "workers keep up",
        ),
        (
            {"streams": [replace(_WORK, size_bytes=1000), _LETTERS]},
            "streams",
            Level.FAILURE,
            "is 100% full",
            "workers keep up",
        ),
        (
            {"streams": [_WORK, replace(_LETTERS, messages=3)]},
            "letters",
            Level.WARNING,
            "3 work items were given up",
            "sie dlq list",
        ),
    ],
)
def test_what_is_wrong_with_a_broker(
    facts: dict, check: str, level: Level, message: str, advice: str
) -> None:
    told = _told(broker(replace(_WELL, **facts)))
    assert told[:2] == (check, level)
    assert message in told[2]
    assert advice in told[3]


def test_a_real_broker_as_others_configure_it(tmp_path: Path) -> None:
    with local_broker.running(tmp_path, text="max_payload: 1MB\n") as url:
        facts = broker_facts.gather(url, "nats://b")
    assert facts.max_payload_bytes == 1024**2
    assert _told(broker(facts))[3].startswith("enable JetStream")
    gone = broker_facts.gather(url, "nats://b")
    assert _told(broker(gone))[3].startswith("start it")


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an NVIDIA card, as Linux shows it; returns where its driver would be."""
    device = tmp_path / "pci" / "0000:01:00.0"
    device.mkdir(parents=True)
    (device / "vendor").write_text("0x10de\n")
    (device / "class").write_text("0x030200\n")
    driver = tmp_path / "driver"
    monkeypatch.setattr(machine, "_PCI", device.parent)
    monkeypatch.setattr(machine, "_DRIVER", driver)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return driver


def _smi(folder: Path, script: str) -> None:
    (folder / "bin").mkdir()
    file = folder / "bin" / "nvidia-smi"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def test_a_card_without_a_driver(card: Path) -> None:
    assert not card.exists()
    told = _told([machine.gpu()])
    assert told[2] == "an NVIDIA GPU without a driver"
    assert "install NVIDIA's driver" in told[3]


def test_another_makers_card_is_none(card: Path) -> None:
    (card.parent / "pci" / "0000:01:00.0" / "vendor").write_text("0x1002\n")
    assert machine.gpu().level == Level.OK


def test_a_driver_that_disagrees_with_its_libraries(card: Path, tmp_path: Path) -> None:
    card.write_text("")
    assert "nvidia-smi fails" in _told([machine.gpu()])[2]
    _smi(tmp_path, "exit 18")
    told = _told([machine.gpu()])
    assert "nvidia-smi fails" in told[2]
    assert "dmesg" in told[3]


def test_a_gpu_that_nothing_here_computes_with(card: Path, tmp_path: Path) -> None:
    card.write_text("")
    _smi(tmp_path, "echo 'NVIDIA L4, 550.1, 24000 MiB'")
    engines = [kind for kind in machine.ENGINES.values() if not kind.on_cpu]
    if any(not kind.missing() for kind in engines):
        pytest.skip("there is an engine for it")
    told = _told([machine.gpu()])
    assert "NVIDIA L4, 550.1, 24000 MiB, and no engine for it" in told[2]
    assert "worker-cuda12.txt" in told[3]


def test_a_disk_without_room_and_a_folder_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert machine.disk(tmp_path, 0.0).level == Level.OK
    assert "make room" in _told([machine.disk(tmp_path / "not" / "yet", 1e9)])[3]
    # Who runs the tests as root may write anywhere.
    monkeypatch.setattr(machine.os, "access", lambda *_: False)
    assert "--data-dir" in _told([machine.disk(tmp_path, 0.0)])[3]
