"""ModelService: the registry's models with their state in this cluster."""

from bisect import bisect_right

from gateway import validation
from gateway.api import Call
from gateway.cluster import Cluster
from gateway.verbs import VERBS
from servicekit.defaults import DEFAULT_PROFILE
from servicekit.errors import invalid
from servicekit.workers import best_state
from sie.inference.v1.model_service_pb2 import (
    GetModelRequest,
    GetModelResponse,
    ListModelsRequest,
    ListModelsResponse,
    ModelEntry,
    ModelInfo,
    ModelProfile,
    ModelState,
)
from sie.registry.v1.model_pb2 import Model

MAX_PAGE_SIZE = 1000
_OWNER = "sie"


class ModelService:
    """Reads from the gateway's memory; callers see the models that they may use."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def list_models(self, request: ListModelsRequest, call: Call) -> ListModelsResponse:
        models = [m for m in self._cluster.models() if call.principal.sees(m.model_id)]
        start = bisect_right([m.model_id for m in models], request.page_token)
        size = min(request.page_size or MAX_PAGE_SIZE, MAX_PAGE_SIZE)
        page = models[start : start + size]
        more = start + size < len(models)
        return ListModelsResponse(
            models=[self._describe(model) for model in page],
            next_page_token=page[-1].model_id if more else "",
            object="list",
            data=[ModelEntry(id=m.model_id, object="model", owned_by=_OWNER) for m in page],
        )

    async def get_model(self, request: GetModelRequest, call: Call) -> GetModelResponse:
        if not request.model:
            raise invalid("model", "a model id is needed")
        model = self._cluster.model(request.model)
        call.principal.check_model(model.model_id)
        return GetModelResponse(model=self._describe(model))

    def _describe(self, model: Model) -> ModelInfo:
        hosting = self._cluster.hosting(model.model_id)
        state = best_state(entry for _, entry in hosting)
        workers = sorted(
            worker_id
            for worker_id, entry in hosting
            if entry.state == ModelState.MODEL_STATE_LOADED
        )
        info = ModelInfo(
            name=model.model_id,
            inputs=validation.inputs_of(model),
            outputs=validation.outputs_of(model),
            dims=_dims(model),
            max_sequence_length=model.max_sequence_length,
            state=state,
            loaded=state == ModelState.MODEL_STATE_LOADED,
            worker_count=len(workers),
            workers=workers,
            bundles=self._cluster.bundles_of(model),
            tasks=_tasks(model),
            id=model.model_id,
            object="model",
            owned_by=_OWNER,
        )
        for name in {DEFAULT_PROFILE, *model.profiles}:
            info.profiles[name].CopyFrom(ModelProfile(is_default=name == DEFAULT_PROFILE))
        if state == ModelState.MODEL_STATE_FAILED:
            error = next(e.last_error for _, e in hosting if e.state == state)
            info.last_error.CopyFrom(error)
        return info


def _tasks(model: Model) -> list[str]:
    return [f"TASK_{verb.NAME.upper()}" for verb in VERBS if verb.answers(model)]


def _dims(model: Model) -> dict[str, int]:
    return {field.name: spec.dims for field, spec in model.tasks.encode.ListFields()}
