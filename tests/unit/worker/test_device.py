"""A device serves its models in proportion to their weights, and never too many at once."""

import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from worker.batching.device import Device
from worker.batching.fair_queue import FairQueue


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 512)), min_size=2, max_size=6))
def test_everyone_who_always_waits_gets_its_share(entrants):
    queue = FairQueue()
    for number, (weight, _) in enumerate(entrants):
        queue.join(str(number), weight)
        queue.wait(str(number))
    served = [0.0] * len(entrants)
    for _ in range(200 * len(entrants)):
        name = queue.next()
        assert name is not None
        number = int(name)
        queue.end(name, entrants[number][1])
        queue.wait(name)
        served[number] += entrants[number][1] / entrants[number][0]
    # Nobody is ahead of anybody by more than the largest turns of the two.
    slack = 2 * max(cost / weight for weight, cost in entrants)
    assert max(served) - min(served) <= slack


@given(st.lists(st.integers(1, 512), min_size=1, max_size=50))
def test_a_newcomer_waits_for_one_turn_of_a_hot_model_at_most(costs):
    queue = FairQueue()
    queue.join("hot")
    for cost in costs:
        queue.wait("hot")
        queue.next()
        queue.end("hot", cost)
    queue.join("cold")
    for name in ("hot", "hot", "cold"):
        queue.wait(name)
    turns = [queue.next()]
    queue.end(turns[0], 1)
    turns.append(queue.next())
    assert "cold" in turns


def test_a_pause_earns_nothing():
    queue = FairQueue()
    queue.join("steady")
    queue.join("back")
    for _ in range(100):
        queue.wait("steady")
        queue.next()
        queue.end("steady", 10)
    order = []
    for name in ("steady", "back"):
        queue.wait(name)
    for _ in range(10):
        name = queue.next()
        order.append(name)
        queue.end(name, 10)
        queue.wait(name)
    assert 4 <= order.count("back") <= 6


def test_no_more_turns_are_held_than_there_are_slots():
    device, lock = Device(2), threading.Lock()
    held = most = 0

    def stream(share):
        nonlocal held, most
        for _ in range(20):
            with share.turn() as turn:
                with lock:
                    held += 1
                    most = max(most, held)
                time.sleep(0.001)
                turn.cost = 10
                with lock:
                    held -= 1

    shares = [device.join() for _ in range(3)]
    threads = [threading.Thread(target=stream, args=(share,)) for share in shares for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (most, held) == (2, 0)
    for share in shares:
        share.leave()


def test_a_cold_model_is_served_beside_a_hot_one():
    device, stop, turns = Device(1), threading.Event(), {"hot": 0, "cold": 0}

    def stream(name, share):
        while not stop.is_set():
            with share.turn() as turn:
                time.sleep(0.001)
                turn.cost = 100
                turns[name] += 1

    hot, cold = device.join(), device.join()
    threads = [threading.Thread(target=stream, args=("hot", hot)) for _ in range(8)]
    threads.append(threading.Thread(target=stream, args=("cold", cold)))
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert turns["cold"] > turns["hot"] / 3
