"""A small real service, and helpers of these tests."""

import asyncio

import numpy as np
from google.protobuf.message import Message
from prometheus_client import CollectorRegistry

from gateway.api import Api
from gateway.auth.guard import Guard
from gateway.endpoint import Reply
from servicekit.errors import SieError, invalid
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1 import inference_service_pb2, model_service_pb2, tensor_pb2
from sie.pool.v1 import pool_service_pb2
from sie.registry.v1 import registry_admin_service_pb2, registry_service_pb2

MAX_REQUEST_BYTES = 64 * 1024
# Some of them are numbers to Python.
NO_NUMBERS = [
    "",
    "1_0",
    " 10",
    "10 ",
    "10\n",
    "+10",
    "10s",
    "1,5",
    ".5",
    "5.",
    "0x10",
    "٣",
    "1٣",
    "nan",
    "inf",
    "Infinity",
    "1e400",
    "1e",
    "9" * 50,
]


class EchoInference:
    """Encodes a text as its length, and fails in the way that the model's name says."""

    def __init__(self):
        self.calls = []
        self.headers = {"x-sie-worker": "worker-1"}
        self.called = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def encode(self, request, call):
        self.calls.append(call)
        self.called.set()
        await self._misbehave(request.model)
        response = inference_service_pb2.EncodeResponse(model=request.model)
        for item in request.items:
            result = response.items.add(id=item.id, input_tokens=len(item.text))
            result.dense.dims = 2
            result.dense.dtype = tensor_pb2.DATA_TYPE_FLOAT32
            result.dense.values.extend([len(item.text), 0.1])
        return Reply(response.SerializeToString(), self.headers)

    async def score(self, request, call):
        return inference_service_pb2.ScoreResponse(model=request.model, kind="SCORE_KIND_COSINE")

    async def at_rest(self):
        """Returns when no more calls come."""
        seen = -1
        while len(self.calls) > seen:
            seen = len(self.calls)
            await asyncio.sleep(0.5)

    async def _misbehave(self, model):
        match model:
            case "slow":
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    self.cancelled.set()
                    raise
            case "broken":
                raise ValueError("a secret")
            case "refused":
                raise invalid("items[0].text", "is rude")
            case "cold":
                raise SieError(
                    ErrorReason.ERROR_REASON_PROVISIONING,
                    "soon",
                    retry_after_s=4.2,
                    gpu="l4",
                    bundle="default",
                    estimated_wait_s=180,
                )
            case "h100":
                raise SieError(
                    ErrorReason.ERROR_REASON_GPU_NOT_CONFIGURED,
                    "no h100 here",
                    gpu="h100",
                    configured_gpu_types="l4, a100-80gb",
                )


class Models:
    async def get_model(self, request, call):
        response = model_service_pb2.GetModelResponse()
        response.model.name = request.model
        return response

    async def list_models(self, request, call):
        return model_service_pb2.ListModelsResponse(next_page_token=str(request.page_size))


class Pools:
    async def renew_pool(self, request, call):
        response = pool_service_pb2.RenewPoolResponse()
        response.pool.spec.name = request.name
        return response

    async def create_pool(self, request, call):
        response = pool_service_pb2.CreatePoolResponse()
        response.pool.spec.name = request.name
        response.pool.spec.gpus.update(request.gpus)
        return response


def make_api(inference, registry=None, guard=None, more=()):
    def service(module, name):
        return module.DESCRIPTOR.services_by_name[name]

    return Api(
        [
            (service(inference_service_pb2, "InferenceService"), inference),
            (service(model_service_pb2, "ModelService"), Models()),
            (service(pool_service_pb2, "PoolService"), Pools()),
            (service(registry_service_pb2, "RegistryService"), object()),
            (service(registry_admin_service_pb2, "RegistryAdminService"), object()),
            *more,
        ],
        default_timeout_s=5,
        max_timeout_s=30,
        registry=registry or CollectorRegistry(),
        guard=guard or Guard(None),
        machine_profile_of=lambda value: value if value in ("l4", "cpu") else "default",
    )


def float32_bytes(values):
    return np.array(values, "<f4").tobytes()


def message_class(name):
    from google.protobuf import descriptor_pool, message_factory

    found = descriptor_pool.Default().FindMessageTypeByName(name)
    made: type[Message] = message_factory.GetMessageClass(found)
    return made
