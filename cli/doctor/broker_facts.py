"""What the broker tells of itself to whoever may ask."""

import asyncio
from dataclasses import dataclass, field

import nats
from nats.aio.client import ServerVersion
from nats.errors import Error as NatsError
from nats.js.errors import APIError, ServiceUnavailableError

_TIMEOUT_S = 3


@dataclass(frozen=True)
class StreamFacts:
    """A stream and its bounds; a bound below 0 is none."""

    name: str
    storage: str
    messages: int
    max_messages: int
    size_bytes: int
    max_bytes: int

    @property
    def fill(self) -> float:
        """The share of its narrower bound that is used."""
        return max(
            self.messages / self.max_messages if self.max_messages > 0 else 0.0,
            self.size_bytes / self.max_bytes if self.max_bytes > 0 else 0.0,
        )


@dataclass(frozen=True)
class BrokerFacts:
    """What was answered.

    Args:
        url: without credentials.
        problem: why nothing was answered; empty: something was.
        version: of the server.
        max_payload_bytes: of a message.
        jetstream_problem: why JetStream does not answer; empty: it does.
        streams: all of them.
    """

    url: str
    problem: str = ""
    version: str = ""
    max_payload_bytes: int = 0
    jetstream_problem: str = ""
    streams: list[StreamFacts] = field(default_factory=list)


def gather(url: str, shown: str) -> BrokerFacts:
    """Asks the broker at `url`, shown as `shown`."""
    return asyncio.run(_gather(url, shown))


async def _gather(url: str, shown: str) -> BrokerFacts:
    errors: list[Exception] = []

    async def failed(error: Exception) -> None:
        errors.append(error)

    try:
        # The library goes on trying for two minutes otherwise.
        async with asyncio.timeout(_TIMEOUT_S):
            client = await nats.connect(
                url.split(","),
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                error_cb=failed,
            )
    except (NatsError, OSError, TimeoutError) as error:
        cause = errors[-1] if errors else error
        return BrokerFacts(shown, problem=str(cause) or type(cause).__name__)
    problem, streams = "", []
    try:
        js = client.jetstream(timeout=_TIMEOUT_S)
        for info in await js.streams_info():
            config, state = info.config, info.state
            streams.append(
                StreamFacts(
                    config.name or "",
                    str(config.storage),
                    state.messages,
                    config.max_msgs or -1,
                    state.bytes,
                    config.max_bytes or -1,
                )
            )
    except (ServiceUnavailableError, APIError, NatsError, TimeoutError) as error:
        problem = str(error) or type(error).__name__
    facts = BrokerFacts(
        shown,
        version=_version(client.connected_server_version),
        max_payload_bytes=client.max_payload,
        jetstream_problem=problem,
        streams=streams,
    )
    await client.close()
    return facts


def _version(version: ServerVersion) -> str:
    return f"{version.major}.{version.minor}.{version.patch}"
