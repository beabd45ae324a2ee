"""The registry's services at the gateway: reads from its view, the rest from the config service."""

import functools
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message

from gateway.endpoint import Call, Reply
from gateway.forwarding import Forwarder
from gateway.peers import Peers
from servicekit.registry_reads import RegistryReads, bundles_of, not_found
from servicekit.registry_state import Key
from servicekit.registry_view import RegistryView
from servicekit.workers import WorkerDirectory
from sie.registry.v1 import (
    registry_admin_service_pb2,
    registry_history_service_pb2,
    registry_service_pb2,
    registry_status_service_pb2,
)
from sie.registry.v1.registry_status_service_pb2 import (
    BundleStatus,
    GetModelStatusRequest,
    GetModelStatusResponse,
    ViewStatus,
)

# The definition itself is the body; the revision that goes with it is here.
REVISION_HEADER = "x-sie-registry-revision"


def registry_services(
    view: RegistryView, workers: WorkerDirectory, peers: Peers, config: grpc.aio.Channel
) -> list[tuple[ServiceDescriptor, object]]:
    """The registry's services, as a gateway answers them.

    Args:
        view: what is read.
        workers: asked for what they have applied.
        peers: the same of gateways.
        config: channel to the config service, which answers writes and questions about the past.
    """
    reads = registry_service_pb2.DESCRIPTOR.services_by_name["RegistryService"]
    status = registry_status_service_pb2.DESCRIPTOR.services_by_name["RegistryStatusService"]
    past = registry_history_service_pb2.DESCRIPTOR.services_by_name["RegistryHistoryService"]
    admin = registry_admin_service_pb2.DESCRIPTOR.services_by_name["RegistryAdminService"]
    return [
        (reads, RegistryReader(view)),
        (status, RegistryStatus(view, workers, peers)),
        (past, Forwarder(past, config)),
        (admin, Forwarder(admin, config, view.catch_up)),
    ]


class RegistryReader:
    """Answers whether or not the config service is up."""

    def __init__(self, view: RegistryView) -> None:
        self._view = view
        reads = RegistryReads(lambda: view.state)
        self.get_model = self._answering(reads.get_model)
        self.list_models = self._answering(reads.list_models)
        self.get_bundle = self._answering(reads.get_bundle)
        self.list_bundles = self._answering(reads.list_bundles)
        self.get_machine_profile = self._answering(reads.get_machine_profile)
        self.list_machine_profiles = self._answering(reads.list_machine_profiles)
        self.resolve_model = self._answering(reads.resolve_model)
        self.get_revision = self._answering(reads.get_revision)

    def _answering(self, read: Callable[[Any], Any]) -> Any:
        return functools.partial(self._answer, read)

    async def _answer(self, read: Callable[[Any], Any], request: Message, call: Call) -> Reply:
        self._view.check_loaded()
        response = read(request)
        return Reply(response.SerializeToString(), {REVISION_HEADER: str(response.revision)})


class RegistryStatus:
    """Who has applied what, from heartbeats."""

    def __init__(self, view: RegistryView, workers: WorkerDirectory, peers: Peers) -> None:
        self._view = view
        self._workers = workers
        self._peers = peers

    async def get_model_status(
        self, request: GetModelStatusRequest, call: Call
    ) -> GetModelStatusResponse:
        self._view.check_loaded()
        key, state = Key("model", request.model_id), self._view.state
        model = state.models.get(request.model_id)
        if model is None:
            raise not_found(key)
        revision = state.written.get(key, 0)
        bundles = [self._bundle(name, revision) for name in bundles_of(model, state.bundles)]
        gateways = {peer.gateway_id: peer.registry_revision for peer in self._peers.live()}
        return GetModelStatusResponse(
            model_id=request.model_id,
            revision=revision,
            all_bundles_acked=all(bundle.acked for bundle in bundles),
            bundles=bundles,
            gateways=_views(gateways, revision),
        )

    def _bundle(self, bundle_id: str, revision: int) -> BundleStatus:
        workers = {
            worker.worker_id: worker.registry_revision
            for worker in self._workers.live()
            if worker.bundle == bundle_id
        }
        views = _views(workers, revision)
        pending = [view.id for view in views if not view.applied]
        return BundleStatus(
            bundle_id=bundle_id,
            total_eligible_workers=len(views),
            acked_workers=[view.id for view in views if view.applied],
            pending_workers=pending,
            acked=bool(views) and not pending,
            workers=views,
        )


def _views(revisions: dict[str, int], wanted: int) -> list[ViewStatus]:
    return [
        ViewStatus(id=name, revision=revisions[name], applied=revisions[name] >= wanted)
        for name in sorted(revisions)
    ]
