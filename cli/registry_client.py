"""Calls to the registry through a gateway."""

from collections.abc import Sequence
from typing import Any

from cli.client import GatewayClient
from cli.errors import CommandError
from sie.registry.v1 import registry_admin_service_pb2 as admin
from sie.registry.v1 import registry_history_service_pb2 as past
from sie.registry.v1 import registry_status_service_pb2 as status
from sie.registry.v1.registry_admin_service_pb2_grpc import RegistryAdminServiceStub
from sie.registry.v1.registry_document_pb2 import RegistryDocument
from sie.registry.v1.registry_history_service_pb2_grpc import RegistryHistoryServiceStub
from sie.registry.v1.registry_status_service_pb2_grpc import RegistryStatusServiceStub


class Resource:
    """A definition as the command line names it: `model/ID`, `bundle/ID`, `machine_profile/ID`.

    Raises:
        CommandError: it is no such name.
    """

    def __init__(self, text: str) -> None:
        kind, slash, self.id = text.partition("/")
        self.kind = kind.replace("-", "_")
        if not (slash and self.id and self.kind in ("model", "bundle", "machine_profile")):
            raise CommandError(
                f"'{text}' is no definition: say model/ID, bundle/ID or machine_profile/ID"
            )

    @property
    def type(self) -> str:
        return f"RESOURCE_TYPE_{self.kind.upper()}"


class RegistryClient(GatewayClient):
    """The registry's services of a gateway; every call raises CommandError when refused."""

    def apply(
        self,
        document: RegistryDocument,
        prune: Sequence[str],
        *,
        dry_run: bool,
        expected_revision: int = 0,
    ) -> admin.ImportRegistryResponse:
        """Applies a document; of the kinds in `prune` whatever it does not hold is deleted."""
        request = admin.ImportRegistryRequest(
            registry=document,
            prune=[f"RESOURCE_TYPE_{kind.upper()}" for kind in prune],
            expected_revision=expected_revision,
            dry_run=dry_run,
        )
        stub = RegistryAdminServiceStub(self._channel)
        response: admin.ImportRegistryResponse = self._call(stub.ImportRegistry, request)
        return response

    def rollback(
        self, revision: int, resource: Resource | None, *, dry_run: bool
    ) -> admin.RollbackRegistryResponse:
        """Brings a definition, or all, back to what they were."""
        request = admin.RollbackRegistryRequest(
            to_revision=revision,
            resource_type=resource.type if resource else None,
            id=resource.id if resource else "",
            dry_run=dry_run,
        )
        stub = RegistryAdminServiceStub(self._channel)
        response: admin.RollbackRegistryResponse = self._call(stub.RollbackRegistry, request)
        return response

    def delete(self, resource: Resource) -> int:
        """Deletes a definition; returns the revision."""
        name = "".join(word.capitalize() for word in resource.kind.split("_"))
        request = getattr(admin, f"Delete{name}Request")(**{f"{resource.kind}_id": resource.id})
        stub: Any = RegistryAdminServiceStub(self._channel)
        response = self._call(getattr(stub, f"Delete{name}"), request)
        return int(response.revision)

    def history(self, resource: Resource | None, most: int) -> list[past.RevisionInfo]:
        """The newest commits, newest first."""
        stub = RegistryHistoryServiceStub(self._channel)
        found: list[past.RevisionInfo] = []
        token = ""
        while len(found) < most:
            request = past.ListRevisionsRequest(
                resource_type=resource.type if resource else None,
                id=resource.id if resource else "",
                page_size=min(most - len(found), 1000),
                page_token=token,
            )
            page = self._call(stub.ListRevisions, request)
            found.extend(page.revisions)
            token = page.next_page_token
            if not token:
                break
        return found

    def diff(self, first: int, last: int) -> past.DiffRevisionsResponse:
        """What differs between two revisions."""
        stub = RegistryHistoryServiceStub(self._channel)
        request = past.DiffRevisionsRequest(from_revision=first, to_revision=last)
        response: past.DiffRevisionsResponse = self._call(stub.DiffRevisions, request)
        return response

    def export(self, revision: int) -> RegistryDocument:
        """Every definition at a revision; 0: the newest."""
        stub = RegistryHistoryServiceStub(self._channel)
        request = past.ExportRegistryRequest(revision=revision)
        document: RegistryDocument = self._call(stub.ExportRegistry, request).registry
        return document

    def status(self, model_id: str) -> status.GetModelStatusResponse:
        """Who has applied a model's newest definition."""
        stub = RegistryStatusServiceStub(self._channel)
        request = status.GetModelStatusRequest(model_id=model_id)
        response: status.GetModelStatusResponse = self._call(stub.GetModelStatus, request)
        return response
