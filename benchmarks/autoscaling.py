"""A day of bursty traffic on tens of pools, scaled as the chart scales them, in virtual time.

python -m benchmarks.autoscaling [SECONDS]

Needs helm, since the rendered ScaledObject is what decides. The same seed gives the same table.
"""

import dataclasses
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from tests.autoscaling import oracle
from tests.autoscaling.scaling import Scaling
from tests.autoscaling.simulation import Machines, Outcome, Simulation
from tests.autoscaling.traffic import DAY_S, Stream, day
from tests.charts.rendering import of_kind, render

_SEED = 2026
_POOLS = 24


class Variant(NamedTuple):
    """The chart with some of its values, and perhaps without some of its triggers."""

    label: str
    sets: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


_CHART = "autoscaling."
_VARIANTS = (
    Variant("the chart as it is"),
    Variant("without recent-use", without=("recent-use",)),
    Variant("cooldownPeriod 300", (f"{_CHART}cooldownPeriod=300",)),
    Variant("cooldownPeriod 1800", (f"{_CHART}cooldownPeriod=1800",)),
    Variant("queueDepthThreshold 200", (f"{_CHART}queueDepthThreshold=200",)),
    Variant("queueDepthThreshold 1000", (f"{_CHART}queueDepthThreshold=1000",)),
    Variant("one worker always", ("workers.pools.l4-spot.minReplicas=1",)),
)


def scaling_of(variant: Variant) -> Scaling:
    objects = of_kind(render("gke", *variant.sets), "ScaledObject")
    return Scaling.of(objects["sie-sie-cluster-l4-spot-default"])


def streams(seconds: int) -> list[Stream]:
    found = day(_SEED, _POOLS)
    return [dataclasses.replace(each, requests=each.requests[:seconds]) for each in found]


def simulate(variant: Variant, seconds: int) -> Outcome:
    simulation = Simulation(streams(seconds), scaling_of(variant), _SEED, without=variant.without)
    return simulation.run(seconds)


def ideal_hours(seconds: int) -> Counter[str]:
    """Hours of who knows the future, by kind of traffic."""
    machines = Machines()
    start_s = sum(sum(span) / 2 for span in (machines.container, machines.load))
    hours: Counter[str] = Counter()
    for stream in streams(seconds):
        hours[stream.kind] += oracle.paid_s(stream, start_s) / 3600  # type: ignore[assignment]
    return hours


def percentile(found: Sequence[float], share: float) -> float:
    ordered = sorted(found)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def queued(outcome: Outcome) -> list[float]:
    """Seconds in the queue, of each request."""
    return [seconds for seconds, count in outcome.queued_s for _ in range(count)]


def show_variants(outcomes: Iterable[tuple[Variant, Outcome]], ideal: float) -> None:
    print(
        "| variant | hours | of the ideal | starts | met no worker | waited p50, max s "
        "| queued p50, p99 s |\n| --- | --- | --- | --- | --- | --- | --- |"
    )
    for variant, outcome in outcomes:
        hours = sum(outcome.paid_s.values()) / 3600
        waited, in_queue = outcome.waited_s, queued(outcome)
        print(
            f"| {variant.label} | {hours:.0f} | {hours / ideal:.2f} "
            f"| {sum(outcome.starts.values())} "
            f"| {100 * len(waited) / outcome.requests:.2f} % "
            f"| {percentile(waited, 0.5):.0f}, {percentile(waited, 1):.0f} "
            f"| {percentile(in_queue, 0.5):.0f}, {percentile(in_queue, 0.99):.0f} |"
        )


def show_kinds(first: Outcome, second: Outcome, ideal: Counter[str], seconds: int) -> None:
    print(
        "\n| traffic | ideal hours | hours, starts | … without recent-use |\n"
        "| --- | --- | --- | --- |"
    )
    kinds = {stream.name: stream.kind for stream in streams(seconds)}
    for kind in ideal:
        names = [name for name, its in kinds.items() if its == kind]
        cells = []
        for outcome in (first, second):
            hours = sum(outcome.paid_s[name] for name in names) / 3600
            cells.append(f"{hours:.1f}, {sum(outcome.starts[name] for name in names)}")
        print(f"| {kind} | {ideal[kind]:.1f} | {' | '.join(cells)} |")


def main() -> None:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else DAY_S
    ideal = ideal_hours(seconds)
    with ProcessPoolExecutor(2) as processes:
        found = processes.map(simulate, _VARIANTS, [seconds] * len(_VARIANTS))
        outcomes = list(zip(_VARIANTS, found, strict=True))
    requests = outcomes[0][1].requests
    print(
        f"{_POOLS} pools, {seconds / 3600:.0f} h, {requests:,} requests, seed {_SEED}; "
        f"the ideal is {sum(ideal.values()):.0f} hours\n"
    )
    show_variants(outcomes, sum(ideal.values()))
    show_kinds(outcomes[0][1], outcomes[1][1], ideal, seconds)


if __name__ == "__main__":
    main()
