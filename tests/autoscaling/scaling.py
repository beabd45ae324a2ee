"""How many replicas KEDA and the HPA behind it make of metrics; pure, with time passed in.

KEDA alone decides between none and some: by activation, cooldown and fallback. Between one and
the most, the HPA takes the highest wish of any trigger, shrinks only to the highest wish of its
stabilisation window, and changes no faster than its policies allow.

A query that fails brings the fallback at once where no trigger is known to be active: KEDA's
failure threshold is for what it tells the HPA, which until then leaves things as they are. A
fallback of 0 is none, so that the cooldown goes on during an outage.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

_TOLERANCE = 0.1
_RANGE = re.compile(r"\[(\d+)([smh])\]")
_UNIT_S = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Trigger:
    query: str
    threshold: float
    activation: float


def faster_query(query: str, factor: float) -> str:
    """The query with its ranges shortened."""

    def shortened(found: re.Match[str]) -> str:
        return f"[{int(found[1]) * _UNIT_S[found[2]] * 1000 / factor:.0f}ms]"

    return _RANGE.sub(shortened, query)


@dataclass(frozen=True)
class Scaling:
    """A ScaledObject of prometheus triggers with AverageValue, times in seconds."""

    least: int
    most: int
    polling_s: float
    cooldown_s: float
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
            spec["pollingInterval"],
            spec["cooldownPeriod"],
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

    def faster(self, factor: float) -> "Scaling":
        """The same with every time divided by the factor."""
        return replace(
            self,
            polling_s=self.polling_s / factor,
            cooldown_s=self.cooldown_s / factor,
            up=_faster_rules(self.up, factor),
            down=_faster_rules(self.down, factor),
            triggers={
                name: replace(each, query=faster_query(each.query, factor))
                for name, each in self.triggers.items()
            },
        )


def _faster_rules(rules: Mapping[str, Any], factor: float) -> Mapping[str, Any]:
    policies = [
        {**policy, "periodSeconds": policy["periodSeconds"] / factor}
        for policy in rules["policies"]
    ]
    window = rules["stabilizationWindowSeconds"] / factor
    return {**rules, "stabilizationWindowSeconds": window, "policies": policies}


@dataclass
class Autoscaler:
    """Follows one ScaledObject from poll to poll."""

    scaling: Scaling
    replicas: int = 0
    active_at: float = -math.inf
    failing: bool = False
    wishes: list[tuple[float, int]] = field(default_factory=list)
    counts: list[tuple[float, int]] = field(default_factory=list)

    def poll(self, values: Mapping[str, float | None], now: float) -> int:
        """Replicas from here on.

        Args:
            values: by trigger; None where the query gave nothing.
            now: seconds, never earlier than before.
        """
        known = {name: value for name, value in values.items() if value is not None}
        self.failing = len(known) < len(self.scaling.triggers)
        longest = max(each["periodSeconds"] for each in self._policies())
        self.counts = [(at, n) for at, n in self.counts if at > now - longest]
        self.counts.append((now, self.replicas))
        self.replicas = self._next(known, now)
        return self.replicas

    def _next(self, known: Mapping[str, float], now: float) -> int:
        scaling = self.scaling
        triggers = scaling.triggers
        if any(value > triggers[name].activation for name, value in known.items()):
            self.active_at = now
            if not self.replicas:
                return max(1, scaling.least)
        elif self.failing and scaling.fallback:
            return max(self.replicas, scaling.fallback)
        elif not scaling.least and now - self.active_at >= scaling.cooldown_s:
            return 0
        return self._between(known, now) if self.replicas else scaling.least

    def _between(self, known: Mapping[str, float], now: float) -> int:
        wish = max((self._wish(name, value) for name, value in known.items()), default=0)
        if self.failing:  # The HPA shrinks nothing while a metric is missing.
            wish = max(wish, self.replicas)
        wish = min(max(wish, self.scaling.least, 1), self.scaling.most)
        window = self.scaling.down["stabilizationWindowSeconds"]
        self.wishes = [(at, n) for at, n in self.wishes if at > now - window]
        self.wishes.append((now, wish))
        stable = max(each for _, each in self.wishes)
        if wish > self.replicas:
            return min(wish, self._bound(self.scaling.up["policies"], now, 1))
        if stable < self.replicas:
            return max(stable, self._bound(self.scaling.down["policies"], now, -1))
        return self.replicas

    def _policies(self) -> Sequence[Mapping[str, Any]]:
        return [*self.scaling.up["policies"], *self.scaling.down["policies"]]

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
