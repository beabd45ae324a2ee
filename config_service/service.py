"""The registry's gRPC services: reads for everyone, history and writes for operators."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable
from typing import Any

from config_service.changes import kind_of, type_of
from config_service.commands import Apply, Command, Delete, Import, Rollback
from config_service.metrics import Metrics
from config_service.plan import DEFINED
from config_service.receipts import Identity, identity_of
from config_service.registry import Registry
from config_service.watch import WatchHub
from config_service.writer import Outcome, RegistryWriter
from servicekit.errors import invalid
from servicekit.grpc_server import GrpcServer
from servicekit.idempotency import IDEMPOTENCY_KEY
from servicekit.paging import MAX_PAGE_SIZE
from servicekit.registry_reads import RegistryReads
from servicekit.registry_state import Definition, Key, key_of_event
from servicekit.registry_view import DEDICATED_POOLS, SERVER_VERSION
from sie.registry.v1 import registry_admin_service_pb2 as admin
from sie.registry.v1 import registry_history_service_pb2 as past
from sie.registry.v1 import registry_service_pb2
from sie.registry.v1.registry_admin_service_pb2_grpc import RegistryAdminServiceServicer
from sie.registry.v1.registry_document_pb2 import RegistryDocument, ResourceChange, ResourceType
from sie.registry.v1.registry_history_service_pb2_grpc import RegistryHistoryServiceServicer
from sie.registry.v1.registry_service_pb2 import Event, WatchRegistryRequest
from sie.registry.v1.registry_service_pb2_grpc import add_RegistryServiceServicer_to_server

REGISTRY_SERVICE = registry_service_pb2.DESCRIPTOR.services_by_name["RegistryService"].full_name
_DEFAULT_PAGE_SIZE = 100


class RegistryService:
    """Reads and watches. Serve it with `add_registry_service`.

    Args:
        registry: what is read.
        watchers: are told of changes.
        metrics: count the watchers.
        version: of the server.
        dedicated_pools: pools that have a queue though nobody leases them.
    """

    def __init__(
        self,
        registry: Registry,
        watchers: WatchHub,
        metrics: Metrics,
        version: str,
        dedicated_pools: Collection[str],
    ) -> None:
        reads = RegistryReads(lambda: registry.state)
        self.GetModel = _answering(reads.get_model)
        self.ListModels = _answering(reads.list_models)
        self.GetBundle = _answering(reads.get_bundle)
        self.ListBundles = _answering(reads.list_bundles)
        self.GetMachineProfile = _answering(reads.get_machine_profile)
        self.ListMachineProfiles = _answering(reads.list_machine_profiles)
        self.ResolveModel = _answering(reads.resolve_model)
        self.GetRevision = _answering(reads.get_revision)
        self._watchers = watchers
        self._metrics = metrics
        self._metadata = (
            (SERVER_VERSION, version),
            (DEDICATED_POOLS, ",".join(sorted(dedicated_pools))),
        )

    async def WatchRegistry(
        self, request: WatchRegistryRequest, context: Any
    ) -> AsyncIterator[bytes]:
        await context.send_initial_metadata(self._metadata)
        with self._metrics.watchers.track_inprogress():
            async for response in self._watchers.watch(request.from_revision):
                yield response


def add_registry_service(service: RegistryService, server: GrpcServer) -> None:
    """Serves it, with a watch whose responses are encoded once for all watchers."""
    add_RegistryServiceServicer_to_server(service, server.server)
    server.stream_encoded(
        REGISTRY_SERVICE, "WatchRegistry", service.WatchRegistry, WatchRegistryRequest
    )


class RegistryHistoryService(RegistryHistoryServiceServicer):
    """What the registry was."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def ListRevisions(
        self, request: past.ListRevisionsRequest, context: Any
    ) -> past.ListRevisionsResponse:
        kind = _kind(request.resource_type) if request.resource_type else ""
        if request.id and not kind:
            raise invalid("resource_type", "must be given where an id is")
        before = _revision_of(request.page_token) if request.page_token else 1 << 63
        size = min(request.page_size or _DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        events = [
            event
            for event in self._events(kind, request.id)
            if event.revision < before and key_of_event(event).kind in DEFINED
        ]
        page = events[: -size - 1 : -1]
        return past.ListRevisionsResponse(
            revisions=map(self._info, page),
            next_page_token=str(page[-1].revision) if len(events) > len(page) else "",
        )

    async def DiffRevisions(
        self, request: past.DiffRevisionsRequest, context: Any
    ) -> past.DiffRevisionsResponse:
        last = request.to_revision or self._registry.revision
        changes = self._registry.diff(request.from_revision, last)
        return past.DiffRevisionsResponse(changes=changes)

    async def ExportRegistry(
        self, request: past.ExportRegistryRequest, context: Any
    ) -> past.ExportRegistryResponse:
        document = self._registry.document(request.revision or self._registry.revision)
        return past.ExportRegistryResponse(registry=document)

    def _events(self, kind: str, name: str) -> Iterable[Event]:
        history = self._registry.history
        if name:
            return history.of(Key(kind, name))
        return [event for event in history if kind in ("", key_of_event(event).kind)]

    def _info(self, event: Event) -> past.RevisionInfo:
        key = key_of_event(event)
        return past.RevisionInfo(
            revision=event.revision,
            commit_time=event.commit_time,
            resource_type=type_of(key.kind),
            id=key.id,
            action=self._registry.history.action_of(event),
        )


class RegistryAdminService(RegistryAdminServiceServicer):
    """Writes."""

    def __init__(self, registry: Registry, writer: RegistryWriter) -> None:
        self._registry = registry
        self._writer = writer

    async def ApplyModel(
        self, request: admin.ApplyModelRequest, context: Any
    ) -> admin.ApplyModelResponse:
        outcome = await self._apply(request, "model", context)
        return admin.ApplyModelResponse(
            model=request.model, revision=outcome.revision, changed=outcome.changed
        )

    async def ApplyBundle(
        self, request: admin.ApplyBundleRequest, context: Any
    ) -> admin.ApplyBundleResponse:
        outcome = await self._apply(request, "bundle", context)
        return admin.ApplyBundleResponse(
            bundle=request.bundle, revision=outcome.revision, changed=outcome.changed
        )

    async def ApplyMachineProfile(
        self, request: admin.ApplyMachineProfileRequest, context: Any
    ) -> admin.ApplyMachineProfileResponse:
        outcome = await self._apply(request, "machine_profile", context)
        return admin.ApplyMachineProfileResponse(
            machine_profile=request.machine_profile,
            revision=outcome.revision,
            changed=outcome.changed,
        )

    async def DeleteModel(
        self, request: admin.DeleteModelRequest, context: Any
    ) -> admin.DeleteModelResponse:
        outcome = await self._delete(Key("model", request.model_id), request, context)
        return admin.DeleteModelResponse(revision=outcome.revision)

    async def DeleteBundle(
        self, request: admin.DeleteBundleRequest, context: Any
    ) -> admin.DeleteBundleResponse:
        outcome = await self._delete(Key("bundle", request.bundle_id), request, context)
        return admin.DeleteBundleResponse(revision=outcome.revision)

    async def DeleteMachineProfile(
        self, request: admin.DeleteMachineProfileRequest, context: Any
    ) -> admin.DeleteMachineProfileResponse:
        key = Key("machine_profile", request.machine_profile_id)
        outcome = await self._delete(key, request, context)
        return admin.DeleteMachineProfileResponse(revision=outcome.revision)

    async def ImportRegistry(
        self, request: admin.ImportRegistryRequest, context: Any
    ) -> admin.ImportRegistryResponse:
        if not request.HasField("registry"):
            raise invalid("registry", "is required")
        if 0 in request.prune:
            raise invalid("prune", "must not hold the unspecified value")
        command = Import(
            _definitions(request.registry),
            frozenset(_kind(each, "prune") for each in request.prune),
            request.expected_revision,
        )
        revision, changes = await self._change(command, request, context)
        return admin.ImportRegistryResponse(revision=revision, changes=changes)

    async def RollbackRegistry(
        self, request: admin.RollbackRegistryRequest, context: Any
    ) -> admin.RollbackRegistryResponse:
        if not request.to_revision:
            raise invalid("to_revision", "is required")
        if bool(request.id) != bool(request.resource_type):
            raise invalid("id", "goes with resource_type: both or none")
        key = Key(_kind(request.resource_type), request.id) if request.id else None
        command = Rollback(request.to_revision, key, request.expected_revision)
        revision, changes = await self._change(command, request, context)
        return admin.RollbackRegistryResponse(revision=revision, changes=changes)

    async def _apply(self, request: Any, kind: str, context: Any) -> Outcome:
        if not request.HasField(kind):
            raise invalid(kind, "is required")
        command = Apply(getattr(request, kind), request.expected_revision)
        return await self._execute(command, request, context)

    async def _delete(self, key: Key, request: Any, context: Any) -> Outcome:
        command = Delete(key, request.expected_revision, request.allow_missing)
        return await self._execute(command, request, context)

    async def _change(
        self, command: Command, request: Any, context: Any
    ) -> tuple[int, list[ResourceChange]]:
        if request.dry_run:
            return self._registry.revision, self._registry.preview(self._writer.decide(command))
        first, revision = await self._execute(command, request, context)
        changes = self._registry.changes_between(first, revision) if first else []
        return revision, changes

    async def _execute(self, command: Command, request: Any, context: Any) -> Outcome:
        identity = _identity(request, context)
        if request.dry_run:
            would = self._writer.decide(command)
            return Outcome(would[0].revision if would else 0, self._registry.revision)
        return await self._writer.execute(command, identity)


def _answering(read: Callable[[Any], Any]) -> Any:
    async def answer(request: Any, _context: Any) -> Any:
        return read(request)

    return answer


def _identity(request: Any, context: Any) -> Identity | None:
    found = [value for key, value in context.invocation_metadata() if key == IDEMPOTENCY_KEY]
    if len(found) > 1:
        raise invalid(IDEMPOTENCY_KEY, "must be given once")
    return identity_of(found[0], request) if found else None


def _kind(resource_type: ResourceType, field: str = "resource_type") -> str:
    # Over gRPC any number may stand for an enum's value.
    if resource_type not in ResourceType.values():
        raise invalid(field, f"has no value {resource_type}")
    return kind_of(resource_type)


def _definitions(document: RegistryDocument) -> dict[str, Definition]:
    return {
        f"registry.{kind}s[{index}]": definition
        for kind in DEFINED
        for index, definition in enumerate(getattr(document, f"{kind}s"))
    }


def _revision_of(page_token: str) -> int:
    if not (page_token.isascii() and page_token.isdecimal() and len(page_token) < 20):
        raise invalid("page_token", "is no token of an earlier reply")
    return int(page_token)
