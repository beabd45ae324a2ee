"""How many replicas KEDA and the HPA behind it make of metrics; pure, with time passed in.

KEDA alone decides between none and some: by activation, cooldown and fallback. Between one and
the most, the HPA takes the highest wish of any trigger, shrinks only to the highest wish of its
stabilisation window, and changes no faster than its policies allow.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_TOLERANCE = 0.1


@dataclass(frozen=True)
class Trigger:
    query: str
    threshold: float
    activation: float


@dataclass(frozen=True)
class Scaling:
    """A ScaledObject of prometheus triggers with AverageValue, times in seconds."""

    least: int
    most: int
    cooldown_s: float
    failure_threshold: int
    fallback: int
    up: Mapping[str, Any]
    down: Mapping[str, Any]
    triggers: Mapping[str, Trigger]

    @classmethod
    def of(cls, scaled_object: Mapping[str, Any]) -> "Scaling":
        """Reads one as it was rendered."""
        spec = scaled_object["spec"]
        behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        assert spec["fallback"]["behavior"] == "currentReplicasIfHigher"
        triggers = {each["name"]: each["metadata"] for each in spec["triggers"]}
        return cls(
            spec["minReplicaCount"],
            spec["maxReplicaCount"],
            spec["cooldownPeriod"],
            spec["fallback"]["failureThreshold"],
            spec["fallback"]["replicas"],
            behavior["scaleUp"],
            behavior["scaleDown"],
            {
                name: Trigger(
                    each["query"], float(each["threshold"]), float(each["activationThreshold"])
                )
                for name, each in triggers.items()
            },
        )


@dataclass
class Autoscaler:
    """Follows one ScaledObject from poll to poll."""

    scaling: Scaling
    replicas: int = 0
    active_at: float = -math.inf
    failures: int = 0
    wishes: list[tuple[float, int]] = field(default_factory=list)
    counts: list[tuple[float, int]] = field(default_factory=list)

    def poll(self, values: Mapping[str, float | None], now: float) -> int:
        """Replicas from here on.

        Args:
            values: by trigger; None where the query gave nothing.
            now: seconds, never earlier than before.
        """
        known = {name: value for name, value in values.items() if value is not None}
        self.failures = 0 if len(known) == len(self.scaling.triggers) else self.failures + 1
        self.counts.append((now, self.replicas))
        self.replicas = self._next(known, now)
        return self.replicas

    def _next(self, known: Mapping[str, float], now: float) -> int:
        scaling = self.scaling
        if self.failures >= scaling.failure_threshold:
            self.active_at = now
            return max(self.replicas, scaling.fallback)
        triggers = scaling.triggers
        if any(value > triggers[name].activation for name, value in known.items()):
            self.active_at = now
            if not self.replicas:
                return max(1, scaling.least)
        elif self.failures:
            return self.replicas
        elif not scaling.least and now - self.active_at >= scaling.cooldown_s:
            return 0
        return self._between(known, now) if self.replicas else scaling.least

    def _between(self, known: Mapping[str, float], now: float) -> int:
        wish = max((self._wish(name, value) for name, value in known.items()), default=0)
        if self.failures:  # The HPA shrinks nothing while a metric is missing.
            wish = max(wish, self.replicas)
        wish = min(max(wish, self.scaling.least, 1), self.scaling.most)
        self.wishes.append((now, wish))
        window = self.scaling.down["stabilizationWindowSeconds"]
        stable = max(each for at, each in self.wishes if at > now - window or at == now)
        if wish > self.replicas:
            return min(wish, self._bound(self.scaling.up["policies"], now, 1))
        if stable < self.replicas:
            return max(stable, self._bound(self.scaling.down["policies"], now, -1))
        return self.replicas

    def _wish(self, name: str, value: float) -> int:
        threshold = self.scaling.triggers[name].threshold
        if abs(value / (threshold * self.replicas) - 1) <= _TOLERANCE:
            return self.replicas
        return math.ceil(value / threshold)

    def _bound(self, policies: Sequence[Mapping[str, Any]], now: float, sign: int) -> int:
        """The farthest that the most generous policy lets it go."""
        bounds = []
        for policy in policies:
            since = now - policy["periodSeconds"]
            within = [count for at, count in self.counts if at > since]
            start = min(within) if sign > 0 else max(within)
            step = policy["value"] * (start / 100 if policy["type"] == "Percent" else 1)
            bounds.append(math.ceil(start + step) if sign > 0 else math.floor(start - step))
        return max(bounds) if sign > 0 else min(bounds)
