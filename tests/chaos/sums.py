"""Whether what went in came out: the gateways' counts, the clients', and the dead letters."""

from collections import Counter
from typing import NamedTuple

import grpc

from sie.operations.v1.dead_letter_service_pb2 import ListDeadLettersRequest
from sie.operations.v1.dead_letter_service_pb2_grpc import DeadLetterServiceStub
from tests.asking import ask
from tests.chaos.load import Load
from tests.chaos.stack import ChaosStack
from tests.chaos.verdicts import Verdict
from tests.waiting import until

_ACCEPTED = "sie_gateway_work_items_accepted_total"
_ENDED = "sie_gateway_work_items_ended_total"
_IDLE_S = 20.0


class Sums(NamedTuple):
    """Items, over all gateways since they started.

    Args:
        accepted: handed to the queue.
        ended: by outcome.
        letters: items in the dead letters' stream.
    """

    accepted: int
    ended: Counter[str]
    letters: int


def sums_of(stack: ChaosStack) -> Sums:
    """The sums when nothing is in flight.

    Raises:
        AssertionError: something stays in flight.
    """
    found = Sums(0, Counter(), 0)

    def is_idle() -> bool:
        nonlocal found
        found = _sums(stack)
        return found.accepted == found.ended.total()

    until(is_idle, _IDLE_S, "every accepted item to end")
    return found


def differences(before: Sums, after: Sums, load: Load) -> list[str]:
    """What does not add up of a load between two sums of gateways that ran all the time."""
    ended = after.ended - before.ended
    answered, received, problems = ended["answered"], load.answered_items, []
    # Of a request that ran out of time some items may have been answered: nobody received them.
    if answered < received or (answered > received and not load.counts[Verdict.RETRYABLE]):
        problems.append(f"{answered} items answered, {received} received")
    if ended["dead_lettered"] != load.dead_items:
        problems.append(f"{ended['dead_lettered']} dead letters told, {load.dead_items} heard")
    if ended["dead_lettered"] > after.letters - before.letters:
        problems.append(f"of {ended['dead_lettered']} dead letters some are not kept")
    return problems


def _sums(stack: ChaosStack) -> Sums:
    accepted, ended = 0.0, Counter[str]()
    for address in stack.gateway_addresses:
        for line in ask(address, "GET", "/metrics").body.decode().splitlines():
            series, _, value = line.rpartition(" ")
            if series.startswith(_ACCEPTED):
                accepted += float(value)
            elif series.startswith(_ENDED):
                ended[series.partition('outcome="')[2].partition('"')[0]] += int(float(value))
    return Sums(int(accepted), ended, _letters(stack.config_address))


def _letters(address: str) -> int:
    count, token = 0, ""
    with grpc.insecure_channel(address) as channel:
        stub = DeadLetterServiceStub(channel)
        while True:
            page = stub.ListDeadLetters(ListDeadLettersRequest(page_token=token), timeout=20)
            count += sum(letter.item_count for letter in page.letters)
            token = page.next_page_token
            if not token:
                return count
