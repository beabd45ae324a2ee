"""Calls about batches, and the files that they read and write."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cli.client import GatewayClient
from sie.batch.v1 import batch_pb2, file_pb2
from sie.batch.v1 import batch_service_pb2 as batches
from sie.batch.v1 import file_service_pb2 as files
from sie.batch.v1.batch_service_pb2_grpc import BatchServiceStub
from sie.batch.v1.file_service_pb2_grpc import FileServiceStub

_PART_BYTES = 4 * 1024 * 1024


class BatchClient(GatewayClient):
    """A connection to a gateway, for its batches and files."""

    def upload(self, path: Path) -> file_pb2.File:
        """Sends a file in parts."""
        stub: Any = FileServiceStub(self._channel)
        with path.open("rb") as source:
            content, following = source.read(_PART_BYTES), source.read(_PART_BYTES)
            request = files.CreateFileRequest(
                filename=path.name, content=content, partial=bool(following)
            )
            file: file_pb2.File = self._call(stub.CreateFile, request).file
            while following:
                content, following = following, source.read(_PART_BYTES)
                more = files.AppendFileRequest(
                    file_id=file.id, offset=file.bytes, content=content, partial=bool(following)
                )
                file = self._call(stub.AppendFile, more).file
        return file

    def read(self, file_id: str) -> Iterator[bytes]:
        """The content of a file, in parts."""
        stub: Any = FileServiceStub(self._channel)
        request = files.ReadFileRequest(file_id=file_id)
        while True:
            reply = self._call(stub.ReadFile, request)
            yield reply.content
            request.offset = reply.next_offset
            if not request.offset:
                return

    def create(self, request: batches.CreateBatchRequest) -> batch_pb2.Batch:
        """Begins a batch."""
        batch: batch_pb2.Batch = self._call(self._stub.CreateBatch, request).batch
        return batch

    def get(self, batch_id: str) -> batch_pb2.Batch:
        """A batch."""
        request = batches.GetBatchRequest(batch_id=batch_id)
        batch: batch_pb2.Batch = self._call(self._stub.GetBatch, request).batch
        return batch

    def list(self) -> list[batch_pb2.Batch]:
        """Every batch, the newest first, over all pages."""
        found: list[batch_pb2.Batch] = []
        request = batches.ListBatchesRequest(limit=100)
        while True:
            page = self._call(self._stub.ListBatches, request)
            found.extend(page.data)
            if not page.has_more:
                return found
            request.after = page.last_id

    def cancel(self, batch_id: str) -> batch_pb2.Batch:
        """Stops a batch."""
        request = batches.CancelBatchRequest(batch_id=batch_id)
        batch: batch_pb2.Batch = self._call(self._stub.CancelBatch, request).batch
        return batch

    def delete(self, batch_id: str) -> None:
        """Forgets a batch that has ended."""
        request = batches.DeleteBatchRequest(batch_id=batch_id)
        self._call(self._stub.DeleteBatch, request)

    @property
    def _stub(self) -> Any:
        return BatchServiceStub(self._channel)
