"""The parts of this package, put together."""

from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.descriptor import ServiceDescriptor
from nats.aio.client import Client
from prometheus_client import CollectorRegistry

from gateway.api import Api
from gateway.batches.batch_service import BatchService
from gateway.batches.file_service import FileService
from gateway.batches.files import Files
from gateway.batches.hold import Hold
from gateway.batches.http_files import FilesFace
from gateway.batches.job import BatchJob
from gateway.batches.metrics import BatchGauges, BatchMetrics
from gateway.batches.places import Places
from gateway.batches.records import Records
from gateway.batches.runner import Runner
from gateway.json_calls import JsonCalls
from servicekit.payloads import PayloadStore
from sie.batch.v1 import batch_service_pb2, file_service_pb2


@dataclass(frozen=True)
class BatchLimits:
    """Bounds of batches.

    Args:
        file_bytes: of a file that is uploaded or fetched.
        tenant_bytes: of all files of a tenant; 0: no bound.
        line_bytes: of a request.
        requests: in a batch.
        jobs: batches that this gateway runs at a time.
        lease_s: after which a batch whose runner is silent goes to another. Seconds.
    """

    file_bytes: int
    tenant_bytes: int
    line_bytes: int
    requests: int
    jobs: int
    lease_s: float


class Batches:
    """Batches and files of one gateway.

    Args:
        client: connection to the broker.
        gateway_id: unique among gateways.
        store: pieces of files.
        limits: their bounds.
        places: where they may read and write beside.
        registry: of metrics.
    """

    def __init__(
        self,
        client: Client,
        gateway_id: str,
        store: PayloadStore,
        limits: BatchLimits,
        places: Places,
        registry: CollectorRegistry,
    ) -> None:
        self._limits = limits
        self._places = places
        self._records = Records(client)
        self._metrics = BatchMetrics(registry)
        self._files = Files(self._records, store, limits.file_bytes, limits.tenant_bytes)
        self._runner = Runner(
            self._records,
            self._metrics,
            runner_id=gateway_id,
            lease_s=limits.lease_s,
            most_jobs=limits.jobs,
        )
        registry.register(BatchGauges(self._runner.unended, self._runner.running))

    def services(self, calls: Callable[[], JsonCalls]) -> list[tuple[ServiceDescriptor, object]]:
        """Descriptor and implementation of each; `calls` is asked for once they are called."""
        batch = batch_service_pb2.DESCRIPTOR.services_by_name["BatchService"]
        file = file_service_pb2.DESCRIPTOR.services_by_name["FileService"]
        service = BatchService(
            self._records,
            self._files,
            calls,
            self._places,
            created=self._runner.wake,
            changed=self._metrics.changed,
        )
        return [(batch, service), (file, FileService(self._files, self._records))]

    def face(self, api: Api) -> FilesFace:
        """What else of them there is over HTTP."""
        return FilesFace(api, self._files)

    async def run(self, calls: JsonCalls) -> None:
        """Runs batches until it is cancelled."""

        def job_of(hold: Hold) -> BatchJob:
            return BatchJob(
                hold,
                self._files,
                calls,
                most_requests=self._limits.requests,
                most_line_bytes=self._limits.line_bytes,
            )

        await self._runner.run(job_of)
