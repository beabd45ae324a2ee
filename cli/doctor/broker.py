"""Judges what the broker tells. Pure."""

from collections.abc import Iterable

from cli.broker import MAX_PAYLOAD_BYTES
from cli.doctor.broker_facts import BrokerFacts, StreamFacts
from cli.doctor.finding import Finding, Level
from servicekit.defaults import DEFAULT_POOL
from servicekit.subjects import DEAD_LETTERS_STREAM, work_stream

_NEEDED = (work_stream(DEFAULT_POOL), DEAD_LETTERS_STREAM)
_FILLING = 0.8
_FULL = 0.99


def broker(facts: BrokerFacts) -> list[Finding]:
    """Whether the broker is there, keeps messages, and has room for more."""
    if facts.problem:
        message = f"{facts.url} cannot be reached: {facts.problem}"
        return [Finding("broker", Level.FAILURE, message, "start it; see its log and SIE_NATS_URL")]
    if facts.jetstream_problem:
        message = f"{facts.url} answers, and JetStream does not: {facts.jetstream_problem}"
        advice = "enable JetStream in its configuration, for the account of this user"
        return [Finding("broker", Level.FAILURE, message, advice)]
    return [*_payload(facts), *_streams(facts)]


def _payload(facts: BrokerFacts) -> Iterable[Finding]:
    if facts.max_payload_bytes < MAX_PAYLOAD_BYTES:
        message = (
            f"a message may have {facts.max_payload_bytes} bytes, {MAX_PAYLOAD_BYTES} are sent"
        )
        advice = f"set max_payload to {MAX_PAYLOAD_BYTES} in the broker's configuration"
        yield Finding("broker", Level.FAILURE, message, advice)


def _streams(facts: BrokerFacts) -> Iterable[Finding]:
    names = {stream.name for stream in facts.streams}
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        message = f"{', '.join(missing)} not there"
        advice = (
            "the config service makes them: see its log, and whether the broker's memory or disk "
            "has room for them (SIE_STREAM_STORAGE, SIE_STREAM_MAX_BYTES, max_mem, max_file)"
        )
        yield Finding("streams", Level.FAILURE, message, advice)
    for stream in facts.streams:
        yield from _fill(stream)
    if not missing:
        storages = "/".join(sorted({stream.storage for stream in facts.streams}))
        message = f"NATS {facts.version}, {len(facts.streams)} streams in {storages}"
        yield Finding("streams", Level.OK, message)


def _fill(stream: StreamFacts) -> Iterable[Finding]:
    if stream.name == DEAD_LETTERS_STREAM and stream.messages:
        message = f"{stream.messages} work items were given up"
        yield Finding("letters", Level.WARNING, message, "sie dlq list")
    elif stream.name.startswith(work_stream("")) and stream.fill >= _FILLING:
        level = Level.FAILURE if stream.fill >= _FULL else Level.WARNING
        message = f"{stream.name} is {stream.fill:.0%} full; a full queue refuses requests"
        advice = (
            "see whether workers keep up; SIE_STREAM_MAX_MESSAGES and _MAX_BYTES are its bounds"
        )
        yield Finding("streams", level, message, advice)
