"""A stand-in for KEDA and the HPA: reads rendered ScaledObjects, asks Prometheus, sets replicas."""

import threading
import time
from collections.abc import Mapping
from typing import NamedTuple

from tests.autoscaling.pods import Pods
from tests.autoscaling.prometheus import Prometheus
from tests.autoscaling.scaling import Autoscaler, Scaling

_RECONCILE_S = 0.05


class Poll(NamedTuple):
    """One look at a pool's metrics.

    Args:
        at: monotonic seconds.
        values: by trigger; None where nothing was known.
        replicas: wanted from then on.
        running: pods whose process ran.
    """

    at: float
    values: Mapping[str, float | None]
    replicas: int
    running: int


class ScaledPool:
    """A StatefulSet and the ScaledObject that sets its replicas, with all that came of it."""

    def __init__(self, pods: Pods, scaling: Scaling) -> None:
        self.pods = pods
        self.history: list[Poll] = []
        self.scaling = scaling
        self._autoscaler = Autoscaler(scaling)
        self._due = 0.0

    @property
    def replicas(self) -> int:
        return self.pods.wanted

    def step(self, prometheus: Prometheus) -> None:
        """Polls, if it is time to, and moves pods towards what is wanted."""
        if time.monotonic() >= self._due:
            self._poll(prometheus)
        self.pods.reconcile()

    def _poll(self, prometheus: Prometheus) -> None:
        triggers = self.scaling.triggers.items()
        values = {name: prometheus.value(each.query) for name, each in triggers}
        now = time.monotonic()
        self._due = now + self.scaling.polling_s
        replicas = self._autoscaler.poll(values, now)
        # Who sees that the number has changed finds out why.
        self.history.append(Poll(now, values, replicas, len(self.pods.running())))
        self.pods.wanted = replicas

    def counts(self, since: float = 0.0) -> set[int]:
        """Every number of replicas that was wanted since then, monotonic seconds."""
        return {poll.replicas for poll in list(self.history) if poll.at >= since}

    def idle_s(self) -> float:
        """For how many seconds no trigger had been active when the last replica went."""
        history, triggers = list(self.history), self.scaling.triggers
        gone = max(
            number
            for number in range(1, len(history))
            if history[number - 1].replicas and not history[number].replicas
        )
        active = max(
            poll.at
            for poll in history[:gone]
            if any(
                value > triggers[name].activation for name, value in poll.values.items() if value
            )
        )
        return history[gone].at - active

    def last(self, trigger: str) -> float | None:
        return self.history[-1].values[trigger] if self.history else None


class Keda(threading.Thread):
    """Steps all pools until it is stopped. A failure of its own is raised there."""

    def __init__(self, pools: Mapping[str, ScaledPool], prometheus: Prometheus) -> None:
        super().__init__(name="keda", daemon=True)
        self._pools = pools
        self._prometheus = prometheus
        self._stopped = threading.Event()
        self._failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._stopped.wait(_RECONCILE_S):
                for pool in self._pools.values():
                    pool.step(self._prometheus)
        except BaseException as error:  # noqa: BLE001 - told to who waits for the pools
            self._failure = error

    def check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        self._stopped.set()
        self.join()
        self.check()
