"""A stand-in for a StatefulSet and the nodes below it: worker processes as its pods."""

import time
from collections.abc import Mapping

from cli.local_stack import LocalStack
from cli.managed_process import ManagedProcess
from tests.charts.rendering import Object, environment

# Of the rendered variables, those that are true on this machine too.
_CARRIED = (
    "SIE_POOL",
    "SIE_MACHINE_PROFILE",
    "SIE_BUNDLE",
    "SIE_PRELOAD_MODELS",
    "SIE_ENGINE",
    "SIE_LAYOUT",
    "SIE_IDLE_EVICT_S",
    "HF_ENDPOINT",
)
# Those that are seconds of the cluster's life.
_SCALED = ("SIE_BUSY_OVER_S",)


class Pods:
    """As many workers as are wanted, each on a node that takes its time to come.

    A pod that is lost is replaced under its name, on another node. One too many is asked to end,
    the last first.

    Args:
        stack: to which they belong.
        stateful_set: as it was rendered.
        node_delay_s: from the wish for a pod to the start of its process.
        factor: by which time is divided.
    """

    def __init__(
        self, stack: LocalStack, stateful_set: Object, node_delay_s: float, factor: float
    ) -> None:
        self.name = stateful_set["metadata"]["name"]
        self.wanted = 0
        self._stack = stack
        (container,) = stateful_set["spec"]["template"]["spec"]["containers"]
        self._env = _here(environment(container), factor)
        self._node_delay_s = node_delay_s / factor
        self._due: dict[int, float] = {}
        self._running: dict[int, ManagedProcess] = {}

    def reconcile(self) -> None:
        """Starts and ends what is to be started and ended now."""
        now = time.monotonic()
        for ordinal, process in list(self._running.items()):
            if not process.is_running:
                del self._running[ordinal]
            elif ordinal >= self.wanted:
                process.terminate()
        self._due = {
            ordinal: self._due.get(ordinal, now + self._node_delay_s)
            for ordinal in range(self.wanted)
            if ordinal not in self._running
        }
        for ordinal in [each for each, at in self._due.items() if at <= now]:
            name = f"{self.name}-{ordinal}"
            self._running[ordinal] = self._stack.start_worker(name, **self._env)

    def running(self) -> list[ManagedProcess]:
        """Pods whose process runs, by ordinal."""
        return [self._running[ordinal] for ordinal in sorted(self._running)]

    def ready(self) -> list[ManagedProcess]:
        """Those of them that say so."""
        return [process for process in self.running() if process.is_ready()]


def _here(variables: Mapping[str, str], factor: float) -> dict[str, str]:
    carried = {name: variables[name] for name in _CARRIED if name in variables}
    scaled = {name: str(float(variables[name]) / factor) for name in _SCALED}
    return carried | scaled
