"""What is done to a cluster under load. A fault returns when the cluster serves again.

Each is a function of a scene: a running cluster, the load on it, and a source of chance.
"""

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.chaos import registry_faults
from tests.chaos.load import Load, Verdict, until
from tests.chaos.stack import GATEWAYS, WORKERS, ChaosStack

CRASH_SHARE = 0.2
_SOME = 10
# Longer than the broker waits for a sign of progress, so that work is delivered twice.
_PAST_ACK_WAIT_S = 7.0


@dataclass(frozen=True)
class Scene:
    """Where a fault happens.

    Args:
        stack: the cluster.
        load: what it serves meanwhile.
        chance: decides what is not said.
        seconds: for how long crashes go on.
    """

    stack: ChaosStack
    load: Load
    chance: random.Random
    seconds: float

    def serves(self, more: int = _SOME) -> None:
        """Returns when requests are served again, the cluster being whole."""
        self.stack.heal()
        self.load.wait_for_right(more)


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    Args:
        name: what people call it.
        inflict: does it.
        breaks: whether connections to a gateway may break, its counters begin anew.
        stack: further arguments of a cluster of its own; None: any will do.
        all_right: whether every request must get its result.
    """

    name: str
    inflict: Callable[[Scene], None]
    breaks: bool = False
    stack: dict[str, object] | None = field(default=None)
    all_right: bool = False


def kill(name: str) -> Callable[[Scene], None]:
    def inflict(scene: Scene) -> None:
        scene.stack.processes[name].kill()
        time.sleep(scene.chance.uniform(0.2, 1.5))
        scene.stack.processes[name].wait(10)
        scene.serves()

    return inflict


def terminate(name: str) -> Callable[[Scene], None]:
    def inflict(scene: Scene) -> None:
        scene.stack.processes[name].terminate()
        code = scene.stack.processes[name].wait(40)
        assert code in (0, 1) if name == "broker" else code == 0, f"{name} ended with {code}"
        time.sleep(scene.chance.uniform(0.0, 1.0))
        scene.serves()

    return inflict


def freeze(name: str, seconds: float) -> Callable[[Scene], None]:
    """Stops a process without its knowledge: to others it is as if the network were cut."""

    def inflict(scene: Scene) -> None:
        process = scene.stack.processes[name]
        process.signal(signal.SIGSTOP)
        time.sleep(seconds)
        process.signal(signal.SIGCONT)
        scene.serves()

    return inflict


def random_crashes(scene: Scene) -> None:
    """Each second, each worker dies with a chance of one in five, and is started again."""
    end = time.monotonic() + scene.seconds
    while time.monotonic() < end:
        for name in WORKERS:
            process = scene.stack.processes[name]
            if scene.chance.random() < CRASH_SHARE and process.is_running:
                process.kill()
                scene.stack.restart(name)
        time.sleep(1.0)
    scene.serves()


def rolling_restart(scene: Scene) -> None:
    """Every process once, each ready before the next goes."""
    for name in (*GATEWAYS, *WORKERS, "config", *scene.stack.brokers):
        scene.stack.processes[name].terminate()
        scene.stack.restart(name).wait_ready(60)
        scene.load.wait_for_right(3)
    scene.serves()


def full_stream(scene: Scene) -> None:
    """Workers are frozen until the queue refuses; then they go on."""
    for name in WORKERS:
        scene.stack.processes[name].signal(signal.SIGSTOP)
    try:
        until(lambda: scene.load.counts[Verdict.RETRYABLE] > _SOME, 30)
    finally:
        for name in WORKERS:
            scene.stack.processes[name].signal(signal.SIGCONT)
    assert any("QUEUE_FULL" in note for note in scene.load.notes), "the queue never refused"
    scene.serves()


def full_disk(scene: Scene) -> None:
    """The broker's file system has no room left; then there is some, and the broker restarts."""
    ballast = scene.stack.fill_disk()
    seen = scene.load.sent
    until(lambda: scene.load.sent > seen + _SOME or scene.load.counts[Verdict.RETRYABLE] > 0, 30)
    time.sleep(3.0)
    ballast.unlink()
    scene.load.wait_for_right(_SOME, 90)


def skewed_clock(seconds: float) -> Callable[[Scene], None]:
    """One worker's clock is off, the other's right."""

    def inflict(scene: Scene) -> None:
        for name in WORKERS:
            scene.stack.processes[name].terminate()
            scene.stack.processes[name].wait(40)
        try:
            scene.stack.start_skewed("worker-skewed", seconds).wait_ready(60)
            scene.load.wait_for_right(_SOME)
            scene.stack.processes["worker-1"].start()
            scene.load.wait_for_right(_SOME)
        finally:
            scene.stack.retire("worker-skewed")
        scene.serves()

    return inflict


def lost_leader(scene: Scene) -> None:
    """The broker that leads the work queue's stream dies, and comes back."""
    leader = scene.stack.leader("SIE_WORK_default")
    assert leader in scene.stack.brokers, f"no leader: {leader!r}"
    scene.stack.processes[leader].kill()
    scene.stack.processes[leader].wait(10)
    until(lambda: scene.stack.leader("SIE_WORK_default") not in ("", leader), 30)
    scene.load.wait_for_right(_SOME)
    scene.serves()


FAULTS = (
    Fault("kill -9 worker", kill("worker-1"), all_right=True),
    Fault("kill -9 gateway", kill("gateway-1"), breaks=True),
    Fault("kill -9 config", kill("config"), all_right=True),
    Fault("kill -9 broker", kill("broker")),
    Fault("SIGTERM worker", terminate("worker-2"), all_right=True),
    Fault("SIGTERM gateway", terminate("gateway-2"), breaks=True),
    Fault("SIGTERM config", terminate("config"), all_right=True),
    Fault("SIGTERM broker", terminate("broker")),
    Fault("worker cut off 3 s", freeze("worker-1", 3.0), all_right=True),
    Fault("duplicate delivery", freeze("worker-2", _PAST_ACK_WAIT_S), all_right=True),
    Fault("gateway frozen 4 s", freeze("gateway-1", 4.0), all_right=True),
    Fault("broker frozen 4 s", freeze("broker", 4.0)),
    Fault("config frozen 8 s", freeze("config", 8.0), all_right=True),
    Fault("slow watchers", registry_faults.slow_watchers, all_right=True),
    Fault("two config services", registry_faults.two_writers, all_right=True),
    Fault("worker's clock +5 s", skewed_clock(5.0)),
    Fault("worker's clock -1 h", skewed_clock(-3600.0)),
    Fault("20 % worker crashes", random_crashes),
    Fault("rolling restart", rolling_restart, breaks=True),
    Fault("full stream", full_stream, stack={"env": {"SIE_STREAM_MAX_MESSAGES": "4"}}),
    Fault(
        "full disk",
        full_disk,
        stack={"disk_mib": 24, "env": {"SIE_STREAM_MAX_BYTES": str(3 * 1024 * 1024)}},
    ),
    Fault("cluster loses its leader", lost_leader, stack={"brokers": 3}),
)
