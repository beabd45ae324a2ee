"""The broker at its limits: a queue that is full, a disk that is, a leader that is lost."""

import signal

from tests.chaos import registry_faults
from tests.chaos.registry_faults import config_channel
from tests.chaos.scene import SOME, Scene
from tests.chaos.stack import WORKERS
from tests.chaos.verdicts import Verdict
from tests.waiting import until

_QUEUE = "SIE_WORK_default"


def fill_stream(scene: Scene) -> None:
    """Workers are frozen until the queue refuses; then they go on."""
    for name in WORKERS:
        scene.stack.processes[name].signal(signal.SIGSTOP)
    until(lambda: any("QUEUE_FULL" in note for note in scene.load.notes), 30, "a refusal")
    scene.serves()


def fill_disk(scene: Scene) -> None:
    """The broker has no room on its disk; then it has, and is restarted if its probe says so."""
    ballast = scene.stack.fill_disk()
    until(lambda: scene.load.counts[Verdict.RETRYABLE] > SOME, 60, "refusals")
    with config_channel(scene.stack.config_address) as channel:
        written = registry_faults.write_or_be_refused(channel, "while-full")
        ballast.unlink()
        if not scene.stack.is_broker_healthy():
            scene.stack.processes["broker"].terminate()
            scene.stack.restart("broker").wait_ready(60)
        scene.load.wait_for_right(SOME)
        assert registry_faults.write_or_be_refused(channel, "after"), "the registry stays shut"
        assert registry_faults.has(channel, "after"), "a commit was lost"
        assert written <= registry_faults.has(channel, "while-full"), "a commit was lost"


def fill_leaders_disk(scene: Scene) -> None:
    """Of three brokers, the one that leads the work queue's stream has no room on its disk."""
    leader = _leader(scene)
    ballast = scene.stack.fill_disk(leader)
    until(lambda: scene.stack.leader(_QUEUE) not in ("", leader), 60, "another leader")
    scene.load.wait_for_right(5 * SOME)
    ballast.unlink()
    scene.stack.processes[leader].terminate()
    scene.stack.restart(leader).wait_ready(60)
    scene.load.wait_for_right(SOME)


def restart_brokers(scene: Scene) -> None:
    """Every broker of a cluster once, each with its streams caught up before the next goes."""
    for number, name in enumerate(scene.stack.brokers):
        scene.stack.processes[name].terminate()
        scene.stack.restart(name).wait_ready(60)
        until(lambda number=number: scene.stack.is_broker_healthy(number), 60, f"{name}'s health")
        scene.load.wait_for_right(SOME)
    scene.serves()


def lose_leader(scene: Scene) -> None:
    """The broker that leads the work queue's stream dies, and comes back."""
    leader = _leader(scene)
    scene.stack.processes[leader].kill()
    scene.stack.processes[leader].wait(60)
    until(lambda: scene.stack.leader(_QUEUE) not in ("", leader), 30, "a new leader")
    scene.load.wait_for_right(5 * SOME)
    scene.serves()


def _leader(scene: Scene) -> str:
    leader = scene.stack.leader(_QUEUE)
    assert leader in scene.stack.brokers, f"no leader: {leader!r}"
    return leader
