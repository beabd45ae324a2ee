"""ModelService: the registry's models with their state in this cluster."""

from gateway import validation
from gateway.cluster import Cluster
from gateway.endpoint import Call
from gateway.verbs import VERBS
from servicekit.defaults import DEFAULT_PROFILE
from servicekit.errors import invalid
from servicekit.paging import page_of
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

_OWNER = "sie"


class ModelService:
    """Reads from the gateway's memory; callers see the models that they may use."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def list_models(self, request: ListModelsRequest, call: Call) -> ListModelsResponse:
        models = {m.model_id: m for m in self._cluster.models() if call.principal.sees(m.model_id)}
        page = page_of(models, request.page_token, request.page_size)
        return ListModelsResponse(
            models=[self._describe(models[name]) for name in page.names],
            next_page_token=page.next_page_token,
            object="list",
            data=[ModelEntry(id=name, object="model", owned_by=_OWNER) for name in page.names],
        )

    async def get_model(self, request: GetModelRequest, call: Call) -> GetModelResponse:
        if not request.model:
            raise invalid("model", "a model id is needed")
        model = self._cluster.model(request.model, call.principal.sees)
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
