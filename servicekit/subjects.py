"""Names on the broker: every subject, stream and consumer of the system.

    sie.work.<pool>.<profile>.<bundle>.<model>.<queue>   stream SIE_WORK_<pool>, work queue
    sie.dead.<pool>.<profile>.<bundle>.<model>.<queue>   stream SIE_DEAD_LETTERS
    sie.reply.<gateway>.result.<token>            core NATS, results; publish acks under `ack`
    sie.cancel.<pool>.<profile>.<bundle>          core NATS, work that nobody waits for any more
    sie.worker.<worker>.status                    core NATS, heartbeats; the id encoded likewise
    sie.gateway.<gateway>.status                  core NATS, heartbeats
    sie.worker.ping                               core NATS, asks for a heartbeat at once
    sie.adopt.<pool>.<profile>.<bundle>           core NATS, queue group: offers of models
    sie.adopt.<pool>.<profile>.<bundle>.<worker>  core NATS, offers to one worker; encoded likewise

Pool, profile and bundle ids are subject tokens as they are. Model ids hold `/` and `.`;
`model_token` encodes them reversibly. Readers take ids from messages, never from
subjects, but for the lane of a dead letter: a work item does not know its own.
"""

import re
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

WORK_PREFIX = "sie.work"
DEAD_PREFIX = "sie.dead"
DEAD_LETTERS_STREAM = "SIE_DEAD_LETTERS"
# Object store of requests that are too large for a message.
PAYLOADS_BUCKET = "SIE_PAYLOADS"
# Object store of the files that batches read and write.
FILES_BUCKET = "SIE_FILES"
# Key-value bucket of what is known of batches and files.
BATCHES_BUCKET = "SIE_BATCHES"
WORKER_STATUS_WILDCARD = "sie.worker.*.status"
GATEWAY_STATUS_WILDCARD = "sie.gateway.*.status"
WORKER_PING = "sie.worker.ping"
# The queue group that makes an adoption offer reach exactly one worker.
ADOPTION_QUEUE_GROUP = "workers"

_REPLY = re.compile(r"sie\.reply\.[A-Za-z0-9_.-]+")
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")


class Lane(NamedTuple):
    """Workers that are alike: the unit of routing and of scaling."""

    pool: str
    machine_profile: str
    bundle: str

    def __str__(self) -> str:
        return f"{self.pool}/{self.machine_profile}/{self.bundle}"


class Queue(StrEnum):
    """The queues of one model in one lane, each with a consumer of its own."""

    INTERACTIVE = "interactive"
    # Interactive work of a tenant of which enough waits among that of others.
    SURPLUS = "surplus"
    BULK = "bulk"
    # Work in whose company a worker died: item by item, one at a time for each worker.
    SUSPECT = "suspect"


@lru_cache(maxsize=4096)
def model_token(model_id: str) -> str:
    """A model id as one subject token: `_` and two hex digits for each byte that is not plain."""
    return "".join(
        chr(byte) if chr(byte) in _PLAIN else f"_{byte:02x}" for byte in model_id.encode()
    )


def model_id_of(token: str) -> str:
    """The model id that `model_token` was made from."""
    head, *rest = token.split("_")
    raw = head.encode() + b"".join(bytes([int(part[:2], 16)]) + part[2:].encode() for part in rest)
    return raw.decode()


def work_stream(pool: str) -> str:
    return f"SIE_WORK_{pool}"


def work_wildcard(pool: str) -> str:
    return f"{WORK_PREFIX}.{pool}.>"


def work_subject(lane: Lane, model_id: str, queue: Queue = Queue.INTERACTIVE) -> str:
    model = model_token(model_id)
    return f"{WORK_PREFIX}.{lane.pool}.{lane.machine_profile}.{lane.bundle}.{model}.{queue}"


def work_consumer(lane: Lane, model_id: str, queue: Queue = Queue.INTERACTIVE) -> str:
    """Durable name of the pull consumer of one queue of one model in one lane."""
    return f"{lane.machine_profile}-{lane.bundle}-{model_token(model_id)}-{queue}"


def reply_prefix(gateway_id: str) -> str:
    return f"sie.reply.{gateway_id}"


def is_reply(subject: str) -> bool:
    """Whether a subject is one for results, and not some other that a work item may name."""
    return _REPLY.fullmatch(subject) is not None


def gateway_status(gateway_id: str) -> str:
    return f"sie.gateway.{gateway_id}.status"


def worker_status(worker_id: str) -> str:
    return f"sie.worker.{model_token(worker_id)}.status"


def adoption(lane: Lane, worker_id: str = "") -> str:
    """Where a model is offered to whoever of the lane hears it first, or to one of its workers."""
    subject = f"sie.adopt.{lane.pool}.{lane.machine_profile}.{lane.bundle}"
    return f"{subject}.{model_token(worker_id)}" if worker_id else subject


def cancel(lane: Lane) -> str:
    return f"sie.cancel.{lane.pool}.{lane.machine_profile}.{lane.bundle}"


def cancel_wildcard(lane: Lane) -> str:
    """For a worker of the lane, whichever pool it works for."""
    return f"sie.cancel.*.{lane.machine_profile}.{lane.bundle}"
