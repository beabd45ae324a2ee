"""Processes that die, are told to stop, or are cut off; one at a time, one by one, at random."""

import signal
import time

from tests.asking import ask
from tests.chaos.scene import Inflict, Scene
from tests.chaos.stack import GATEWAYS, WORKERS

CRASH_SHARE = 0.2
_ISOLATED = 'outcome="isolated"'


def kill(name: str) -> Inflict:
    def inflict(scene: Scene) -> None:
        scene.stack.processes[name].kill()
        scene.stack.processes[name].wait(60)
        time.sleep(scene.chance.uniform(0.2, 1.5))
        scene.serves()

    return inflict


def terminate(name: str) -> Inflict:
    def inflict(scene: Scene) -> None:
        scene.stack.processes[name].terminate()
        code = scene.stack.processes[name].wait(40)
        # The broker ends with 1 when it is told to.
        assert code in ((0, 1) if name == "broker" else (0,)), f"{name} ended with {code}"
        time.sleep(scene.chance.uniform(0.0, 1.0))
        scene.serves()

    return inflict


def freeze(name: str, seconds: float) -> Inflict:
    """Stops a process without its knowledge: to others it is as if the network were cut."""

    def inflict(scene: Scene) -> None:
        process = scene.stack.processes[name]
        process.signal(signal.SIGSTOP)
        time.sleep(seconds)
        process.signal(signal.SIGCONT)
        scene.serves()

    return inflict


def deliver_twice(scene: Scene) -> None:
    """A worker is frozen until its work has gone to the other; then it answers as well."""
    before = _isolated(scene)
    # Longer than the broker waits for a sign of progress.
    freeze(WORKERS[0], 7.0)(scene)
    assert _isolated(scene) > before, "no work was delivered twice"


def crash_at_random(scene: Scene) -> None:
    """Each second each worker dies with a chance of one in five, and is started again."""
    end = time.monotonic() + scene.seconds
    while time.monotonic() < end:
        for name in WORKERS:
            process = scene.stack.processes[name]
            if scene.chance.random() < CRASH_SHARE:
                process.kill()
                scene.stack.restart(name)
        time.sleep(1.0)
    scene.serves()


def restart_each(scene: Scene) -> None:
    """Every process once, each ready before the next goes."""
    for name in (*GATEWAYS, *WORKERS, "config", *scene.stack.brokers):
        scene.stack.processes[name].terminate()
        scene.stack.restart(name).wait_ready(60)
        scene.load.wait_for_right(3)
    scene.serves()


def skew(name: str, seconds: float) -> Inflict:
    """A process's clock is off."""

    def inflict(scene: Scene) -> None:
        scene.stack.skew(name, seconds)
        scene.load.wait_for_right(5 * len(WORKERS) * len(GATEWAYS))
        scene.serves()

    return inflict


def _isolated(scene: Scene) -> float:
    """Work items that were taken apart because they had been delivered before."""
    total = 0.0
    for name in WORKERS:
        address = f"127.0.0.1:{scene.stack.processes[name].env['SIE_WORKER_HTTP_PORT']}"
        lines = ask(address, "GET", "/metrics").body.decode().splitlines()
        total += sum(float(line.rpartition(" ")[2]) for line in lines if _ISOLATED in line)
    return total
