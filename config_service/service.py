"""The registry's two gRPC services: reads for everyone, writes for operators."""

import base64
import binascii
from bisect import bisect_right
from collections.abc import AsyncIterator
from typing import Any

from config_service.commands import Apply, DeleteModel
from config_service.metrics import Metrics
from config_service.registry import Registry, model_not_found
from config_service.watch import WatchHub
from config_service.writer import RegistryWriter
from servicekit.defaults import DEFAULT_BUNDLE_PRIORITY
from servicekit.errors import invalid
from servicekit.registry_state import Key
from sie.registry.v1.registry_admin_service_pb2 import (
    ApplyBundleRequest,
    ApplyBundleResponse,
    ApplyModelRequest,
    ApplyModelResponse,
    DeleteModelRequest,
    DeleteModelResponse,
)
from sie.registry.v1.registry_admin_service_pb2_grpc import RegistryAdminServiceServicer
from sie.registry.v1.registry_service_pb2 import (
    GetModelRequest,
    GetModelResponse,
    ListBundlesRequest,
    ListBundlesResponse,
    ListModelsRequest,
    ListModelsResponse,
    WatchRegistryRequest,
    WatchRegistryResponse,
)
from sie.registry.v1.registry_service_pb2_grpc import RegistryServiceServicer

MAX_PAGE_SIZE = 1000
# What a bundle's priority of 0 stands for.


class RegistryService(RegistryServiceServicer):
    """Reads and watches."""

    def __init__(self, registry: Registry, watchers: WatchHub, metrics: Metrics) -> None:
        self._registry = registry
        self._watchers = watchers
        self._metrics = metrics

    async def GetModel(self, request: GetModelRequest, context: Any) -> GetModelResponse:
        model = self._registry.state.models.get(request.model_id)
        written = self._registry.latest(Key("model", request.model_id))
        if model is None or written is None:
            raise model_not_found(request.model_id)
        return GetModelResponse(model=model, revision=written.revision)

    async def ListModels(self, request: ListModelsRequest, context: Any) -> ListModelsResponse:
        models = self._registry.state.models
        names = sorted(models)
        start = bisect_right(names, _last_of(request.page_token)) if request.page_token else 0
        page = names[start : start + min(request.page_size or MAX_PAGE_SIZE, MAX_PAGE_SIZE)]
        return ListModelsResponse(
            models=(models[name] for name in page),
            next_page_token=_token_after(page[-1]) if page and page[-1] != names[-1] else "",
            revision=self._registry.revision,
        )

    async def ListBundles(self, request: ListBundlesRequest, context: Any) -> ListBundlesResponse:
        bundles = sorted(
            self._registry.state.bundles.values(),
            key=lambda bundle: (bundle.priority or DEFAULT_BUNDLE_PRIORITY, bundle.bundle_id),
        )
        return ListBundlesResponse(bundles=bundles, revision=self._registry.revision)

    async def WatchRegistry(
        self, request: WatchRegistryRequest, context: Any
    ) -> AsyncIterator[WatchRegistryResponse]:
        with self._metrics.watchers.track_inprogress():
            async for response in self._watchers.watch(request.from_revision):
                yield response


class RegistryAdminService(RegistryAdminServiceServicer):
    """Writes."""

    def __init__(self, registry: Registry, writer: RegistryWriter) -> None:
        self._registry = registry
        self._writer = writer

    async def ApplyModel(self, request: ApplyModelRequest, context: Any) -> ApplyModelResponse:
        if not request.HasField("model"):
            raise invalid("model", "is required")
        command = Apply(request.model, request.expected_revision)
        revision, changed = await self._apply(command, dry_run=request.dry_run)
        return ApplyModelResponse(model=request.model, revision=revision, changed=changed)

    async def DeleteModel(self, request: DeleteModelRequest, context: Any) -> DeleteModelResponse:
        event = await self._writer.execute(DeleteModel(request.model_id, request.expected_revision))
        return DeleteModelResponse(revision=event.revision if event else self._registry.revision)

    async def ApplyBundle(self, request: ApplyBundleRequest, context: Any) -> ApplyBundleResponse:
        if not request.HasField("bundle"):
            raise invalid("bundle", "is required")
        command = Apply(request.bundle, request.expected_revision)
        revision, changed = await self._apply(command, dry_run=request.dry_run)
        return ApplyBundleResponse(bundle=request.bundle, revision=revision, changed=changed)

    async def _apply(self, command: Apply, *, dry_run: bool) -> tuple[int, bool]:
        if dry_run:
            return self._registry.revision, self._writer.would_change(command)
        event = await self._writer.execute(command)
        return (event.revision, True) if event else (self._registry.revision, False)


def _token_after(model_id: str) -> str:
    return base64.urlsafe_b64encode(model_id.encode()).decode()


def _last_of(page_token: str) -> str:
    try:
        return base64.b64decode(page_token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        raise invalid("page_token", "is no token of an earlier reply") from None
