"""GRPCInferenceService: the open inference protocol over the three verbs."""

import asyncio
import dataclasses
import time
from collections.abc import Callable, Sequence

from google.protobuf.message import Message

from gateway.api import deadline_exceeded
from gateway.cluster import Cluster
from gateway.endpoint import Call, Reply
from gateway.inference import InferenceService
from gateway.large_bodies import beside_the_loop
from gateway.oip.plan import VERSION, Plan, check_version, in_terms_of_tensors, plan, verbs_of
from gateway.oip.reply import response
from gateway.oip.verbs.verb import TensorSpec
from servicekit.errors import SieError, invalid
from servicekit.registry_reads import split_model
from servicekit.workers import best_state
from sie.inference.v1.model_service_pb2 import ModelState
from sie.oip import open_inference_pb2 as pb
from sie.registry.v1.model_pb2 import Model

PLATFORM = "sie"
# What is provided in full, by the names that the protocol's documents use.
EXTENSIONS = ("binary_tensor_data",)

_STATES = {
    ModelState.MODEL_STATE_LOADED: "READY",
    ModelState.MODEL_STATE_LOADING: "LOADING",
    ModelState.MODEL_STATE_UNLOADING: "UNLOADING",
}
_REASONS = {
    ModelState.MODEL_STATE_AVAILABLE: "no worker has it; its first request loads it",
    ModelState.MODEL_STATE_FAILED: "it could not be loaded",
}


class OpenInferenceService:
    """Answers from the gateway's memory, and through the verbs.

    Args:
        cluster: models and their state.
        inference: the verbs.
        ready: whether the server can take requests.
        version: of the software.
        max_elements: an input may have no more.
    """

    def __init__(
        self,
        cluster: Cluster,
        inference: InferenceService,
        *,
        ready: Callable[[], bool],
        version: str,
        max_elements: int,
    ) -> None:
        self._cluster = cluster
        self._inference = inference
        self._ready = ready
        self._version = version
        self._max_elements = max_elements

    async def server_live(self, _request: Message, _call: Call) -> pb.ServerLiveResponse:
        return pb.ServerLiveResponse(live=True)

    async def server_ready(self, _request: Message, _call: Call) -> pb.ServerReadyResponse:
        return pb.ServerReadyResponse(ready=self._ready())

    async def server_metadata(self, _request: Message, _call: Call) -> pb.ServerMetadataResponse:
        return pb.ServerMetadataResponse(
            name=PLATFORM, version=self._version, extensions=EXTENSIONS
        )

    async def model_ready(self, request: pb.ModelReadyRequest, call: Call) -> pb.ModelReadyResponse:
        model = self._model(request.name, request.version, "name", call)
        return pb.ModelReadyResponse(ready=self._state(model) == ModelState.MODEL_STATE_LOADED)

    async def model_metadata(
        self, request: pb.ModelMetadataRequest, call: Call
    ) -> pb.ModelMetadataResponse:
        model = self._model(request.name, request.version, "name", call)
        own = verbs_of(model)[0]
        return pb.ModelMetadataResponse(
            name=model.model_id,
            versions=[VERSION],
            platform=PLATFORM,
            inputs=_described(own.inputs(model)),
            outputs=_described(own.outputs(model, {})),
        )

    async def model_infer(self, request: pb.ModelInferRequest, call: Call) -> Reply:
        model = self._model(request.model_name, request.model_version, "model_name", call)
        planned = await beside_the_loop(
            request.ByteSize(), plan, request, model, self._max_elements
        )
        try:
            reply = await self._run(planned, call)
            given = await beside_the_loop(
                len(reply.body), planned.verb.read, reply.body, planned.wanted
            )
        except SieError as error:
            raise in_terms_of_tensors(error, planned.asked) from None
        return Reply(response(request, given), reply.headers)

    async def repository_index(
        self, request: pb.RepositoryIndexRequest, call: Call
    ) -> pb.RepositoryIndexResponse:
        if request.repository_name:
            raise invalid("repository_name", "there is one repository, without a name")
        entries = [
            (model, self._state(model))
            for model in self._cluster.models()
            if call.principal.sees(model.model_id)
        ]
        return pb.RepositoryIndexResponse(
            models=[
                pb.RepositoryIndexResponse.ModelIndex(
                    name=model.model_id,
                    version=VERSION,
                    state=_STATES.get(state, "UNAVAILABLE"),
                    reason=_REASONS.get(state, ""),
                )
                for model, state in entries
                if state == ModelState.MODEL_STATE_LOADED or not request.ready
            ]
        )

    async def _run(self, planned: Plan, call: Call) -> Reply:
        verb = getattr(self._inference, planned.verb.NAME)
        if planned.timeout_s is None:
            return await verb(planned.asked.message, call)  # type: ignore[no-any-return]
        deadline = min(call.deadline, time.time() + planned.timeout_s)
        bound = asyncio.timeout(planned.timeout_s)
        try:
            async with bound:
                sooner = dataclasses.replace(call, deadline=deadline)
                return await verb(planned.asked.message, sooner)  # type: ignore[no-any-return]
        except TimeoutError:
            if bound.expired():
                raise deadline_exceeded(planned.timeout_s) from None
            raise

    def _model(self, name: str, version: str, field: str, call: Call) -> Model:
        if not name:
            raise invalid(field, "a model id is needed")
        _, model_id = split_model(name)
        model = self._cluster.model(model_id, call.principal.sees)
        call.principal.check_model(model.model_id)
        check_version(model, version)
        return model

    def _state(self, model: Model) -> "ModelState":
        return best_state(entry for _, entry in self._cluster.hosting(model.model_id))


def _described(
    specs: Sequence[TensorSpec],
) -> list[pb.ModelMetadataResponse.TensorMetadata]:
    return [
        pb.ModelMetadataResponse.TensorMetadata(
            name=spec.name, datatype=spec.datatype, shape=spec.shape
        )
        for spec in specs
    ]
