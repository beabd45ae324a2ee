"""What the gateway knows: the registry, the live workers, and what follows from both."""

import difflib
import time
from collections.abc import Callable, Mapping, Sequence

from gateway import routing
from gateway.demand import Demand
from gateway.refusals import Refusals
from gateway.usage import Usage
from servicekit.errors import SieError, invalid
from servicekit.machine_profiles import resolve_profile
from servicekit.pools import assignments
from servicekit.registry_reads import bundles_of
from servicekit.registry_view import RegistryView
from servicekit.subjects import Lane
from servicekit.workers import Standing, WorkerDirectory
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.registry.v1.model_pb2 import Model
from sie.worker.v1.worker_status_pb2 import HostedModel, WorkerStatus

_ESTIMATED_WAIT_S = 180
_LONGEST_SHOWN = 200
_LANES_KEPT_S = 0.25
# Comparing takes a moment of everybody's time.
_MOST_COMPARED, _LONGEST_GUESS, _CLOSE = 200, 100, 0.7
# Stands in metrics for a machine profile that was not named, or does not exist.
_NO_PROFILE = "default"


class Cluster:
    """Answers what a request needs to know, from memory.

    Args:
        registry: the registry.
        workers: the live workers.
        demand: where requests leave their mark that find none.
        usage: where they leave it otherwise.
        refusals: counts those that are not served.
        waiting: items that wait in a lane.
    """

    def __init__(
        self,
        registry: RegistryView,
        workers: WorkerDirectory,
        demand: Demand,
        usage: Usage,
        refusals: Refusals,
        waiting: Callable[[Lane], int],
    ) -> None:
        self._registry = registry
        self._workers = workers
        self._demand = demand
        self._usage = usage
        self._refusals = refusals
        self._waiting = waiting
        # Found for each request, made at each change of the registry.
        self._assigned: dict[str, str] = {}
        self._lanes: Mapping[Lane, Sequence[Standing]] | None = None
        self._lanes_at = 0.0
        workers.subscribe(self._forget_lanes)
        registry.subscribe(lambda _: self._index())
        self._index()

    @property
    def revision(self) -> int:
        return self._registry.revision

    def models(self) -> Sequence[Model]:
        """Every model, ordered by id."""
        return [self._registry.models[key] for key in sorted(self._registry.models)]

    def model(self, model_id: str, sees: Callable[[str], bool] = lambda _: False) -> Model:
        """One model.

        Args:
            model_id: its id.
            sees: whether an id may be suggested to the caller.

        Raises:
            SieError: MODEL_NOT_FOUND, INVALID_INPUT where none is named, or REGISTRY_UNAVAILABLE
                before the registry was read.
        """
        model = self._registry.models.get(model_id)
        if model is not None:
            return model
        if not model_id:
            raise invalid("model", "a model is needed")
        self._registry.check_loaded()
        raise SieError(
            ErrorReason.ERROR_REASON_MODEL_NOT_FOUND,
            f"no model '{model_id[:_LONGEST_SHOWN]}' is registered" + self._guess(model_id, sees),
            model=model_id[:_LONGEST_SHOWN],
        )

    def _guess(self, model_id: str, sees: Callable[[str], bool]) -> str:
        if len(self._registry.models) > _MOST_COMPARED or len(model_id) > _LONGEST_GUESS:
            return ""
        # Without its organisation, which is what people leave out, and in any case.
        seen = {_short(each): each for each in sorted(self._registry.models) if sees(each)}
        close = difflib.get_close_matches(_short(model_id), seen, n=1, cutoff=_CLOSE)
        return f"; did you mean {seen[close[0]]}?" if close else ""

    def bundles_of(self, model: Model) -> list[str]:
        return bundles_of(model, self._registry.bundles)

    def hosting(self, model_id: str, lane: Lane | None = None) -> list[tuple[str, HostedModel]]:
        """Worker id and entry of the model for each live worker that knows it."""
        return self._workers.hosting(model_id, lane)

    def lanes(self) -> Mapping[Lane, Sequence[Standing]]:
        """Lanes with the workers that take their work now."""
        now = time.monotonic()
        # Found for each request, so kept until a heartbeat, or the silence of one, may change it.
        if self._lanes is None or now - self._lanes_at > _LANES_KEPT_S:
            self._lanes = routing.lanes_of(self._workers.standings(), self._assigned)
            self._lanes_at = now
        return self._lanes

    def heartbeats(self) -> Mapping[Lane, Sequence[WorkerStatus]]:
        """The latest of the workers of those lanes."""
        latest = {worker.worker_id: worker for worker in self._workers.live()}
        return {
            lane: [latest[each.worker_id] for each in workers if each.worker_id in latest]
            for lane, workers in self.lanes().items()
        }

    def route(self, model: Model, asked: routing.Wanted) -> Lane:
        """The lane that serves the request.

        Raises:
            SieError: GPU_NOT_CONFIGURED, POOL_NOT_FOUND, BUNDLE_INCOMPATIBLE, or PROVISIONING,
                which also records the demand.
        """
        known = routing.Known(
            self._registry.bundles,
            self._registry.machine_profiles,
            self._registry.pools,
            self._assigned,
            self._workers.standings(),
            self.lanes(),
            self._waiting,
            self._registry.dedicated_pools,
        )
        try:
            lane, has_workers, arrival_s = routing.route(model, asked, known)
        except SieError as error:
            best = self.bundles_of(model)[0]
            self._refusals.rejected(error, Lane(asked.pool, _NO_PROFILE, best))
            raise
        if has_workers:
            self._usage.record(lane, time.monotonic())
            return lane
        self._refusals.provisioning(lane)
        self._demand.record(lane, time.monotonic())
        raise SieError(
            ErrorReason.ERROR_REASON_PROVISIONING,
            f"no worker of {lane} is up yet; capacity is being provisioned",
            retry_after_s=arrival_s or self._demand.retry_after_s,
            gpu=lane.machine_profile,
            bundle=lane.bundle,
            estimated_wait_s=round(arrival_s or _ESTIMATED_WAIT_S),
        )

    def _forget_lanes(self, _: WorkerStatus | None = None) -> None:
        self._lanes = None

    def _index(self) -> None:
        self._forget_lanes()
        self._assigned = assignments(self._registry.pools.values())

    def machine_profile_label(self, header: str) -> str:
        """The configured machine profile that a header value names; metrics know no others."""
        profile = routing.wanted({routing.MACHINE_PROFILE_HEADER: header}).machine_profile
        return resolve_profile(profile, self._registry.machine_profiles) or _NO_PROFILE


def _short(model_id: str) -> str:
    return model_id.rpartition("/")[2].casefold()
