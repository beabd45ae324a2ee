"""BatchService: the batches of the caller's tenant."""

import asyncio
import re
import time
from collections.abc import Callable, Mapping

from gateway.batches.file_service import INPUT
from gateway.batches.files import Files, is_id
from gateway.batches.outcome import ENDED, finish
from gateway.batches.places import Places
from gateway.batches.records import Conflict, Key, Records, new_id
from gateway.batches.request_line import check_endpoint
from gateway.endpoint import Call
from gateway.json_calls import JsonCalls
from servicekit.errors import SieError, invalid
from servicekit.payloads import FILES_TTL_S
from sie.batch.v1.batch_pb2 import Batch, BatchStatus, RequestCounts
from sie.batch.v1.batch_service_pb2 import (
    CancelBatchRequest,
    CancelBatchResponse,
    CreateBatchRequest,
    CreateBatchResponse,
    DeleteBatchRequest,
    DeleteBatchResponse,
    GetBatchRequest,
    GetBatchResponse,
    ListBatchesRequest,
    ListBatchesResponse,
)
from sie.batch.v1.file_pb2 import FileStatus
from sie.batch.v1.record_pb2 import BatchRecord, Owner
from sie.errors.v1.error_reason_pb2 import ErrorReason

_PAGE, _LONGEST_PAGE = 20, 100
# Of a tenant; more would wait all the same.
_MOST_ACTIVE = 100
_WINDOW = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MOST_NOTES, _LONGEST_NOTE_KEY, _LONGEST_NOTE = 16, 64, 512
# Headers that choose a lane.
_LANE_HEADERS = ("x-sie-machine-profile", "x-sie-pool")


class BatchService:
    """The rpcs.

    Args:
        records: of all batches.
        files: of all tenants.
        calls: what batches can be for.
        places: where they may read and write.
        created: called when there is a new batch.
        changed: called with the record before and after a change that was written.
        clock: seconds since 1970 UTC.
    """

    def __init__(
        self,
        records: Records,
        files: Files,
        calls: Callable[[], JsonCalls],
        places: Places,
        created: Callable[[], None],
        changed: Callable[[BatchRecord, BatchRecord], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._records = records
        self._files = files
        self._calls = calls
        self._places = places
        self._created = created
        self._changed = changed
        self._clock = clock

    async def create_batch(self, request: CreateBatchRequest, call: Call) -> CreateBatchResponse:
        tenant = call.principal.tenant
        check_endpoint(self._calls(), request.endpoint)
        _check_notes(request.metadata)
        window = request.completion_window or "24h"
        seconds = _seconds(window)
        if request.output_uri:
            self._places.check("output_uri", f"{request.output_uri.rstrip('/')}/x", tenant)
        await self._check_room(tenant)
        now = int(self._clock())
        batch = Batch(
            id=new_id("batch_"),
            object="batch",
            endpoint=request.endpoint,
            input_file_id=await self._input(request, tenant),
            input_uri=request.input_uri,
            output_uri=request.output_uri,
            completion_window=window,
            status=BatchStatus.BATCH_STATUS_VALIDATING,
            created_at=now,
            expires_at=now + seconds,
            request_counts=RequestCounts(),
            metadata=request.metadata,
        )
        record = BatchRecord(
            batch=batch,
            owner=_owner(call),
            headers={name: call.metadata[name] for name in _LANE_HEADERS if name in call.metadata},
        )
        key = Key("batch", tenant, batch.id)
        await self._records.create(key._replace(kind="active"), b"")
        await self._records.create(key, record.SerializeToString())
        self._created()
        return CreateBatchResponse(batch=batch)

    async def get_batch(self, request: GetBatchRequest, call: Call) -> GetBatchResponse:
        record, _ = await self._get(call.principal.tenant, request.batch_id)
        return GetBatchResponse(batch=record.batch)

    async def list_batches(self, request: ListBatchesRequest, call: Call) -> ListBatchesResponse:
        tenant = call.principal.tenant
        limit = min(request.limit or _PAGE, _LONGEST_PAGE)
        keys = list(reversed(await self._records.keys("batch", tenant)))
        if request.after:
            keys = [key for key in keys if key.id < request.after]
        read = await asyncio.gather(*(self._records.read(key) for key in keys[:limit]))
        data = [BatchRecord.FromString(found[0]).batch for found in read if found]
        return ListBatchesResponse(
            object="list",
            data=data,
            has_more=len(keys) > limit,
            first_id=data[0].id if data else "",
            last_id=data[-1].id if data else "",
        )

    async def cancel_batch(self, request: CancelBatchRequest, call: Call) -> CancelBatchResponse:
        tenant = call.principal.tenant
        key = Key("batch", tenant, request.batch_id)
        while True:
            record, revision = await self._get(tenant, request.batch_id)
            if record.batch.status not in (
                BatchStatus.BATCH_STATUS_VALIDATING,
                BatchStatus.BATCH_STATUS_IN_PROGRESS,
            ):
                return CancelBatchResponse(batch=record.batch)
            before = BatchRecord()
            before.CopyFrom(record)
            now = int(self._clock())
            record.batch.status = BatchStatus.BATCH_STATUS_CANCELLING
            record.batch.cancelling_at = now
            if not record.epoch:
                # Nobody has begun it, and with others before it nobody would for long.
                finish(now)(record)
            try:
                await self._records.update(key, record.SerializeToString(), revision)
            except Conflict:
                continue  # Its runner has written, which it does a few times a second at most.
            self._changed(before, record)
            if record.batch.status in ENDED:
                await self._records.remove(key._replace(kind="active"))
            return CancelBatchResponse(batch=record.batch)

    async def delete_batch(self, request: DeleteBatchRequest, call: Call) -> DeleteBatchResponse:
        record, _ = await self._get(call.principal.tenant, request.batch_id)
        if record.batch.status not in ENDED:
            raise SieError(
                ErrorReason.ERROR_REASON_IN_USE,
                f"batch '{request.batch_id}' has not ended: cancel it first",
                resource=f"batch {request.batch_id}",
                used_by="its runner",
            )
        await self._records.remove(Key("batch", call.principal.tenant, request.batch_id))
        return DeleteBatchResponse(id=request.batch_id, object="batch", deleted=True)

    async def _get(self, tenant: str, batch_id: str) -> tuple[BatchRecord, int]:
        key = Key("batch", tenant, batch_id)
        found = await self._records.read(key) if is_id(batch_id) else None
        if found is None:
            raise SieError(
                ErrorReason.ERROR_REASON_BATCH_NOT_FOUND,
                f"there is no batch '{batch_id[:80]}'",
                batch_id=batch_id[:80],
            )
        return BatchRecord.FromString(found[0]), found[1]

    async def _input(self, request: CreateBatchRequest, tenant: str) -> str:
        """The id of the file of requests; empty where it is still to be fetched."""
        source = request.WhichOneof("source")
        if source == "input_file_id":
            file = (await self._files.get(tenant, request.input_file_id)).record.file
            if file.status != FileStatus.FILE_STATUS_PROCESSED:
                raise invalid("input_file_id", "the file is not whole")
            return request.input_file_id
        if source == "input_uri":
            self._places.check("input_uri", request.input_uri, tenant)
            return ""
        if source == "input":
            record = self._files.new("input.jsonl", INPUT)
            await self._files.add(tenant, record, request.input.encode())
            await self._files.keep(tenant, record)
            return record.file.id
        raise invalid("input_file_id", "one of input_file_id, input_uri and input is needed")

    async def _check_room(self, tenant: str) -> None:
        if len(await self._records.keys("active", tenant)) >= _MOST_ACTIVE:
            raise SieError(
                ErrorReason.ERROR_REASON_QUOTA_EXCEEDED,
                f"tenant '{tenant}' has {_MOST_ACTIVE} batches that have not ended",
                retry_after_s=60.0,
                tenant=tenant,
                limit="batches",
            )


def _owner(call: Call) -> Owner:
    principal = call.principal
    return Owner(
        tenant=principal.tenant,
        pools=sorted(principal.pools),
        models=principal.models,
        tokens_per_minute=principal.limits.tokens_per_minute,
    )


def _seconds(window: str) -> int:
    found = _WINDOW.fullmatch(window)
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not 0 < seconds <= FILES_TTL_S:
        raise invalid("completion_window", "must be such as 24h, 30m or 7d, and at most 30d")
    return seconds


def _check_notes(notes: Mapping[str, str]) -> None:
    if len(notes) > _MOST_NOTES:
        raise invalid("metadata", f"has more than {_MOST_NOTES} entries")
    for key, value in notes.items():
        if len(key) > _LONGEST_NOTE_KEY or len(value) > _LONGEST_NOTE:
            raise invalid(
                "metadata",
                f"keys have at most {_LONGEST_NOTE_KEY} characters, values {_LONGEST_NOTE}",
            )
