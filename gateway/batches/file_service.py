"""FileService: the files of the caller's tenant."""

import asyncio

from gateway.batches.files import Files, Stored
from gateway.batches.records import Conflict, Records
from gateway.endpoint import Call
from servicekit.errors import SieError, invalid
from sie.batch.v1.file_pb2 import File, FileStatus
from sie.batch.v1.file_service_pb2 import (
    AppendFileRequest,
    AppendFileResponse,
    CreateFileRequest,
    CreateFileResponse,
    DeleteFileRequest,
    DeleteFileResponse,
    GetFileRequest,
    GetFileResponse,
    ListFilesRequest,
    ListFilesResponse,
    ReadFileRequest,
    ReadFileResponse,
)
from sie.batch.v1.record_pb2 import BatchRecord, FileRecord
from sie.errors.v1.error_reason_pb2 import ErrorReason

_PAGE, _LONGEST_PAGE = 100, 1000
# The purpose of what callers upload.
INPUT = "batch"


class FileService:
    """The rpcs.

    Args:
        files: of all tenants.
        records: tell which batches read a file.
    """

    def __init__(self, files: Files, records: Records) -> None:
        self._files = files
        self._records = records

    async def create_file(self, request: CreateFileRequest, call: Call) -> CreateFileResponse:
        check_purpose(request.purpose)
        record = self._files.new(request.filename, INPUT)
        await self._files.add(call.principal.tenant, record, request.content)
        self._files.seal(record, partial=request.partial)
        await self._files.create(call.principal.tenant, record)
        return CreateFileResponse(file=record.file)

    async def append_file(self, request: AppendFileRequest, call: Call) -> AppendFileResponse:
        tenant = call.principal.tenant
        stored = await self._files.get(tenant, request.file_id)
        record = stored.record
        if _was_added(request, record):
            return AppendFileResponse(file=record.file)
        if record.file.status != FileStatus.FILE_STATUS_UPLOADING:
            raise invalid("file_id", "the file is whole")
        if request.offset != record.file.bytes:
            raise invalid("offset", f"must be {record.file.bytes}, what the file has")
        await self._files.add(tenant, record, request.content)
        self._files.seal(record, partial=request.partial)
        try:
            await self._files.update(tenant, Stored(record, stored.revision))
        except Conflict:
            raise invalid("offset", "another call adds to the file at the same time") from None
        return AppendFileResponse(file=record.file)

    async def read_file(self, request: ReadFileRequest, call: Call) -> ReadFileResponse:
        stored = await self._files.get(call.principal.tenant, request.file_id)
        content = await self._files.read(stored.record, request.offset)
        end = request.offset + len(content)
        following = end if content and end < stored.record.file.bytes else 0
        return ReadFileResponse(content=content, next_offset=following)

    async def get_file(self, request: GetFileRequest, call: Call) -> GetFileResponse:
        stored = await self._files.get(call.principal.tenant, request.file_id)
        return GetFileResponse(file=stored.record.file)

    async def list_files(self, request: ListFilesRequest, call: Call) -> ListFilesResponse:
        tenant = call.principal.tenant
        limit = min(request.limit or _PAGE, _LONGEST_PAGE)
        after = request.after
        ids = [each for each in await self._files.ids(tenant) if not after or each < after]
        found: list[File] = []
        while ids and len(found) <= limit:
            page, ids = ids[: limit + 1], ids[limit + 1 :]
            read = await asyncio.gather(*(self._files.find(tenant, each) for each in page))
            wanted = (file for file in read if file and request.purpose in ("", file.purpose))
            found.extend(wanted)
        data = found[:limit]
        return ListFilesResponse(
            object="list",
            data=data,
            has_more=len(found) > limit,
            first_id=data[0].id if data else "",
            last_id=data[-1].id if data else "",
        )

    async def delete_file(self, request: DeleteFileRequest, call: Call) -> DeleteFileResponse:
        tenant = call.principal.tenant
        await self._files.get(tenant, request.file_id)
        for active in await self._records.keys("active", tenant):
            found = await self._records.read(active._replace(kind="batch"))
            if found and _reads(BatchRecord.FromString(found[0]), request.file_id):
                raise SieError(
                    ErrorReason.ERROR_REASON_IN_USE,
                    f"file '{request.file_id}' is read by batch '{active.id}'",
                    resource=f"file {request.file_id}",
                    used_by=f"batch {active.id}",
                )
        await self._files.delete(tenant, request.file_id)
        return DeleteFileResponse(id=request.file_id, object="file", deleted=True)


def check_purpose(purpose: str) -> None:
    """Raises SieError, INVALID_INPUT, for anything but what callers may upload."""
    if purpose not in ("", INPUT):
        raise invalid("purpose", f"must be {INPUT}")


def _was_added(request: AppendFileRequest, record: FileRecord) -> bool:
    """Whether this is the call again that added the file's end, whose reply was lost."""
    end = request.offset + len(request.content)
    last = record.pieces[-1].size_bytes if record.pieces else 0
    is_whole = record.file.status == FileStatus.FILE_STATUS_PROCESSED
    same_end = end == record.file.bytes and len(request.content) == last
    return bool(request.content) and same_end and is_whole != request.partial


def _reads(record: BatchRecord, file_id: str) -> bool:
    return record.batch.input_file_id == file_id
