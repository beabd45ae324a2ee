"""Has clusters suffer faults, each under load, and judges how they stood them."""

import random
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.load import Load
from tests.chaos.report import Row
from tests.chaos.scene import SOME, Fault, Scene
from tests.chaos.stack import ChaosStack
from tests.chaos.sums import differences, sums_of
from tests.chaos.verdicts import Verdict

_FRAMES = 2


@dataclass(frozen=True)
class Plan:
    """How much is done.

    Args:
        seed: decides the order, the texts and all other chance.
        crash_seconds: how long workers crash at random.
        commits: how many are made behind the back of slow watchers.
        rest_s: how long each client of the load waits after each reply.
    """

    seed: int = 1
    crash_seconds: float = 120.0
    commits: int = 10_000
    rest_s: float = 0.0


class Runner:
    """Suffers faults, those that need no cluster of their own on one that they share.

    Args:
        plan: how much is done.
        directory: everything that clusters write goes here.
        cache_dir: compiled engines.
    """

    def __init__(self, plan: Plan, directory: Path, cache_dir: Path) -> None:
        self._plan = plan
        self._directory = directory
        self._cache_dir = cache_dir
        self._clusters = 0

    def in_order(self, faults: Sequence[Fault]) -> list[Fault]:
        """The order that the seed decides; those with a cluster of their own come last."""
        order = list(faults)
        random.Random(self._plan.seed).shuffle(order)
        return sorted(order, key=lambda fault: bool(fault.stack))

    def suffer_all(self, faults: Sequence[Fault]) -> Iterator[Row]:
        """A row for each fault, in the order given. After a failure the cluster is a new one."""
        with ExitStack() as shared:
            cluster: ChaosStack | None = None
            for fault in faults:
                if fault.stack or cluster is None:
                    shared.close()
                    cluster = shared.enter_context(self._cluster(fault))
                row = self.suffer(cluster, fault)
                yield row
                if row.problems or fault.stack:
                    shared.close()
                    cluster = None

    def suffer(self, cluster: ChaosStack, fault: Fault) -> Row:
        """Has a cluster suffer one fault under load; starts it, or what of it has ended."""
        chance = random.Random(f"{self._plan.seed}/{fault.name}")
        try:
            if cluster.processes:
                cluster.heal()
            else:
                cluster.start()
        except Exception as error:  # noqa: BLE001 - one fault's failure is a row of the table
            return Row(fault.name, Load([], self._plan.seed), 0.0, [_brief(error)])
        started = time.monotonic()
        load = Load(cluster.gateway_addresses, self._plan.seed, rest_s=self._plan.rest_s)
        problems: list[str] = []
        scene = Scene(cluster, load, chance, self._plan.crash_seconds, self._plan.commits)
        try:
            before = sums_of(cluster)
            with load:
                load.wait_for_right(SOME)
                fault.inflict(scene)
            after = sums_of(cluster)
            if not fault.restarts:
                problems += differences(before, after, load)
        except Exception as error:  # noqa: BLE001 - as above
            problems.append(_brief(error))
        problems += unwanted(fault, load)
        return Row(fault.name, load, time.monotonic() - started, problems)

    def _cluster(self, fault: Fault) -> ChaosStack:
        self._clusters += 1
        directory = self._directory / str(self._clusters)
        return ChaosStack(directory, self._cache_dir, **fault.stack)


_TURNED_AWAY = "503 QUEUE_FULL"


def unwanted(fault: Fault, load: Load) -> list[str]:
    """Endings that the fault does not excuse."""
    never = {Verdict.WRONG, Verdict.HUNG}
    if not fault.breaks:
        never.add(Verdict.BROKEN)
    if not fault.restarts:
        never.add(Verdict.REFUSED)
    if fault.all_right:
        never.add(Verdict.RETRYABLE)
    counts = dict(load.counts)
    # What is turned away because too much waits was never taken: the machine decides how much.
    counts[Verdict.RETRYABLE] = counts.get(Verdict.RETRYABLE, 0) - load.notes[_TURNED_AWAY]
    found = [f"{counts[each]} {each}" for each in Verdict if each in never and counts.get(each)]
    return [f"{', '.join(found)}: {dict(load.notes)}"] if found else []


def _brief(error: Exception) -> str:
    frames = traceback.format_tb(error.__traceback__)[-_FRAMES:]
    return "".join([*traceback.format_exception_only(error), *frames])
