"""The loop of autoscaling in virtual time: a second a step, and nothing but pure cores.

    requests ─► routing ─┬─► queue ─► workers
                         └─► demand, and back after Retry-After
    gauges of the gateway ─► every scrape ─► ScaledObjects ─► pods ─► nodes ─► workers

Routing, demand, usage, queues, leases, assignment and second hosts are the product's own code, and
`scaling.py` is KEDA and the HPA. Made up are machines: how long they take, and how fast they are.
"""

import heapq
import random
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from prometheus_client.registry import Collector

from config_service.assignment import assign
from gateway import routing
from gateway.demand import Demand, DemandGauge
from gateway.leases import LeaseGauge
from gateway.routing import Known, Wanted
from gateway.spreading import Crowd, Spreading
from gateway.usage import Usage, UsageGauge
from gateway.worker_gauges import QueueGauge
from servicekit.pools import assignments
from servicekit.subjects import Lane
from servicekit.workers import standing_of
from sie.inference.v1.model_service_pb2 import ModelState
from sie.pool.v1.pool_pb2 import AssignedWorker, Pool, PoolSpec, PoolState
from sie.registry.v1.bundle_pb2 import Bundle
from sie.registry.v1.machine_profile_pb2 import MachineProfile
from sie.registry.v1.model_pb2 import Model
from sie.worker.v1.worker_status_pb2 import HostedModel, WorkerState, WorkerStatus
from tests.autoscaling.scaling import Autoscaler, Scaling
from tests.autoscaling.traffic import ITEMS_PER_SECOND, Stream

_LOADED, _LOADING = ModelState.MODEL_STATE_LOADED, ModelState.MODEL_STATE_LOADING
_READY, _STARTING = WorkerState.WORKER_STATE_READY, WorkerState.WORKER_STATE_STARTING
_BUNDLE = "default"
# Over which workers say how busy they were.
_BUSY_OVER_S = 15.0
_MODEL = Model(model_id="m", bundles=[_BUNDLE])


class Machines(NamedTuple):
    """Seconds that things take, from and to.

    Args:
        node: until a node is there; not paid for.
        container: until the worker on it is ready.
        load: of the model.
    """

    node: tuple[float, float] = (120, 300)
    container: tuple[float, float] = (20, 40)
    load: tuple[float, float] = (10, 60)


class Clients(NamedTuple):
    """How gateways and callers are set.

    Args:
        retry_after_s: what a caller is told that finds no worker.
        recent_use_s: for how long a request keeps a worker.
        patience_s: after which a caller gives up.
    """

    retry_after_s: float = 120.0
    recent_use_s: float = 60.0
    patience_s: float = 600.0


_MACHINES, _CLIENTS = Machines(), Clients()


@dataclass
class Outcome:
    """What a run cost, and whom it kept waiting.

    Attributes:
        paid_s: seconds of machines, by stream.
        waited_s: seconds for which a request found no worker, for each that did not at first.
        queued_s: seconds from the queue to the answer, for each second's requests of a stream.
        requests: all of them.
        gave_up: those that had no answer within their patience.
        starts: workers that were started, by stream.
        replicas: that were wanted at each poll, by stream.
    """

    paid_s: Counter[str] = field(default_factory=Counter)
    waited_s: list[float] = field(default_factory=list)
    queued_s: list[tuple[float, int]] = field(default_factory=list)
    requests: int = 0
    gave_up: int = 0
    starts: Counter[str] = field(default_factory=Counter)
    replicas: dict[str, list[int]] = field(default_factory=dict)


@dataclass
class _Pod:
    status: WorkerStatus
    node_at: float
    ready_at: float
    loaded_at: float = float("inf")


@dataclass
class _Waiting:
    """Requests of one second and one stream that stand in a queue."""

    arrived: float
    items: float
    requests: int


class Simulation:
    """Runs streams, each with a pool of machines that is scaled by `scaling`.

    Args:
        streams: what is asked.
        scaling: of every pool.
        seed: of machines' times and of callers' jitter.
        machines: what they take.
        clients: how callers are treated.
        without: triggers that are left out.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        scaling: Scaling,
        seed: int,
        machines: Machines = _MACHINES,
        clients: Clients = _CLIENTS,
        without: Iterable[str] = (),
    ) -> None:
        self.now = 0.0
        self.outcome = Outcome(replicas={stream.name: [] for stream in streams})
        self._streams = {stream.name: stream for stream in streams}
        self._rng = random.Random(seed)
        self._machines, self._clients = machines, clients
        self._without = frozenset(without)
        self._autoscalers = {name: Autoscaler(scaling) for name in self._streams}
        self._polling_s = scaling.polling_s
        self._pods: dict[str, list[_Pod]] = {name: [] for name in self._streams}
        self._queues: dict[Lane, deque[_Waiting]] = {}
        # Items that could have been served this second.
        self._left: dict[Lane, float] = {}
        self._returns: list[tuple[float, str, float, int]] = []
        self._pools: dict[str, Pool] = {}
        self._bundles = {_BUNDLE: Bundle(bundle_id=_BUNDLE)}
        self._profiles = {name: MachineProfile(machine_profile_id=name) for name in self._streams}
        self._demand = Demand(clients.retry_after_s)
        self._usage = Usage(clients.recent_use_s)
        self._spreading = Spreading()
        self._gauges = self._make_gauges()
        self._known = self._look()

    def run(self, seconds: int) -> Outcome:
        """Lets time pass."""
        for _ in range(seconds):
            self.step()
        return self.outcome

    def step(self) -> None:
        """One second."""
        self._lease()
        if self._move_pods():
            self._known = self._look()
        self._arrive()
        self._serve()
        self._compute()
        if self.now % self._polling_s < 1:
            self._poll()
        self._pay()
        self.now += 1

    # What requests do.

    def _arrive(self) -> None:
        second = int(self.now)
        while self._returns and self._returns[0][0] <= self.now:
            _, name, arrived, count = heapq.heappop(self._returns)
            self._ask(self._streams[name], arrived, count)
        for stream in self._streams.values():
            if second < len(stream.requests) and (count := int(stream.requests[second])):
                self.outcome.requests += count
                self._ask(stream, self.now, count)

    def _ask(self, stream: Stream, arrived: float, count: int) -> None:
        pool = stream.name if stream.name in self._pools else "default"
        lane, has_workers, arrival_s = routing.route(_MODEL, Wanted(pool, stream.name), self._known)
        if has_workers:
            self._usage.record(lane, self.now)
            if arrived < self.now:
                self.outcome.waited_s += [self.now - arrived] * count
            queue = self._queues.setdefault(lane, deque())
            queue.append(_Waiting(self.now, count * stream.items, count))
            return
        self._demand.record(lane, self.now)
        if self.now - arrived >= self._clients.patience_s:
            self.outcome.gave_up += count
            return
        delay = (arrival_s or self._clients.retry_after_s) * self._rng.uniform(1, 1.25)
        heapq.heappush(self._returns, (self.now + delay, stream.name, arrived, count))

    def _serve(self) -> None:
        for lane, queue in self._queues.items():
            workers = self._workers_of(lane) if queue else []
            if not workers:
                continue
            hosts = [worker for worker in workers if worker.models]
            if len(hosts) < len(workers):
                self._offer(lane, workers, len(hosts))
            room = ITEMS_PER_SECOND * _loaded(hosts)
            while queue and room > 0:
                served = min(room, queue[0].items)
                room -= served
                queue[0].items -= served
                if not queue[0].items:
                    done = queue.popleft()
                    self.outcome.queued_s.append((self.now + 1 - done.arrived, done.requests))
            self._left[lane] = room

    def _compute(self) -> None:
        """How busy workers were."""
        for lane in self._known.lanes:
            workers = self._workers_of(lane)
            room = ITEMS_PER_SECOND * _loaded(workers)
            busy = 1 - self._left.get(lane, room) / room if room else 0.0
            for worker in workers:
                now = busy if _loaded([worker]) else 0.0
                worker.busy += (now - worker.busy) / _BUSY_OVER_S
        self._left.clear()

    def _offer(self, lane: Lane, workers: Sequence[WorkerStatus], hosts: int) -> None:
        crowds = {_MODEL.model_id: Crowd(self.waiting_items(lane), hosts)}
        for worker in [each for each in workers if not each.models]:
            # Of those who could load it first, one takes the offer.
            if not hosts or self._spreading.wanted(worker, crowds, self.now):
                self._load(worker)
                hosts += 1

    def _load(self, worker: WorkerStatus) -> None:
        worker.models.append(HostedModel(model_id=_MODEL.model_id, state=_LOADING))
        (pod,) = [pod for pod in self._pods[worker.machine_profile] if pod.status is worker]
        pod.loaded_at = self.now + self._rng.uniform(*self._machines.load)

    # What requests wait in, as the gauges ask.

    def lanes(self) -> Iterable[Lane]:
        """Lanes in which requests wait."""
        return [lane for lane, queue in self._queues.items() if queue]

    def waiting_items(self, lane: Lane) -> int:
        """Items that wait in a lane."""
        return int(sum(each.items for each in self._queues.get(lane, ())))

    # What machines do.

    def _poll(self) -> None:
        found = {name: _by_profile(gauge) for name, gauge in self._gauges.items()}
        for name, autoscaler in self._autoscalers.items():
            leased = found["leased-gpus"][name]
            depth = autoscaler.scaling.triggers["queue-depth"].threshold * leased
            values = {trigger: gauge[name] for trigger, gauge in found.items()}
            values["queue-depth"] += depth
            values["rejected-requests"] = 0.0
            values |= dict.fromkeys(self._without, 0.0)
            wanted = autoscaler.poll(values, self.now)
            self.outcome.replicas[name].append(wanted)
            self._resize(name, wanted)

    def _resize(self, name: str, wanted: int) -> None:
        pods = self._pods[name]
        if len(pods) > wanted:
            del pods[wanted:]
            self._known = self._look()
        for ordinal in range(len(pods), wanted):
            self.outcome.starts[name] += 1
            status = WorkerStatus(
                # Another one each time: what a pod of this name was assigned to is over.
                worker_id=f"{name}-{ordinal}-{self.outcome.starts[name]}",
                pool="default",
                machine_profile=name,
                bundle=_BUNDLE,
            )
            node_at = self.now + self._rng.uniform(*self._machines.node)
            ready_at = node_at + self._rng.uniform(*self._machines.container)
            pods.append(_Pod(status, node_at, ready_at))

    def _move_pods(self) -> bool:
        changed = False
        for pod in self._all_pods():
            status = pod.status
            if not status.state and pod.node_at <= self.now:
                status.state, changed = _STARTING, True
            if status.state == _STARTING and pod.ready_at <= self.now:
                status.state, changed = _READY, True
            if pod.loaded_at <= self.now:
                status.models[0].state = _LOADED
        return changed

    def _pay(self) -> None:
        for name, pods in self._pods.items():
            self.outcome.paid_s[name] += sum(pod.node_at <= self.now for pod in pods)

    def _all_pods(self) -> Iterable[_Pod]:
        return (pod for pods in self._pods.values() for pod in pods)

    def _workers_of(self, lane: Lane) -> list[WorkerStatus]:
        return [self._by_id[each.worker_id] for each in self._known.lanes.get(lane, ())]

    def _alive(self) -> list[WorkerStatus]:
        return [pod.status for pod in self._all_pods() if pod.status.state]

    # What the registry does.

    def _lease(self) -> None:
        for stream in self._streams.values():
            begin, end = stream.lease
            if begin == self.now < end:
                spec = PoolSpec(name=stream.name, bundle=_BUNDLE, gpus={stream.name: 1})
                self._pools[stream.name] = Pool(spec=spec)
                self._known = self._look()
            elif end == self.now and self._pools.pop(stream.name, None):
                self._known = self._look()

    def _look(self) -> Known:
        """What gateways know, after the registry has assigned workers."""
        workers = self._alive()
        self._by_id = {worker.worker_id: worker for worker in workers}
        for name, each in assign(self._pools, self._by_id, settled=True).items():
            status = self._pools[name].status
            del status.assigned_workers[:]
            status.assigned_workers.extend(
                AssignedWorker(name=worker, gpu=gpu) for worker, gpu in each.workers.items()
            )
            status.state = each.state or PoolState.POOL_STATE_PENDING
        assigned = assignments(self._pools.values())
        for worker in workers:
            worker.pool = assigned.get(worker.worker_id, "default")
        standings = [standing_of(worker) for worker in workers]
        lanes = routing.lanes_of(standings, assigned)
        return Known(
            self._bundles,
            self._profiles,
            self._pools,
            assigned,
            standings,
            lanes,
            self.waiting_items,
        )

    def _make_gauges(self) -> Mapping[str, Collector]:
        def clock() -> float:
            return self.now

        def pools() -> Mapping[str, Pool]:
            return self._pools

        return {
            "pending-demand": DemandGauge(
                self._demand, lambda: self._known.lanes, self.lanes, clock
            ),
            "leased-gpus": LeaseGauge(pools),
            "recent-use": UsageGauge(self._usage, self._alive, self.lanes, pools, clock),
            "queue-depth": QueueGauge("g", self._alive, self, pools),
        }


def _loaded(workers: Iterable[WorkerStatus]) -> int:
    """How many of them serve."""
    return sum(entry.state == _LOADED for worker in workers for entry in worker.models)


def _by_profile(gauge: Collector) -> Counter[str]:
    """A gauge as the chart's queries read it from one gateway: summed by machine profile."""
    found: Counter[str] = Counter()
    for family in gauge.collect():
        for sample in family.samples:
            found[sample.labels["machine_profile"]] += sample.value  # type: ignore[assignment]
    return found
