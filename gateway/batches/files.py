"""Files in pieces: written as they come, read piece by piece, never held whole."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import NamedTuple

from gateway.batches.quota import Quota
from gateway.batches.records import Conflict, Key, Records, new_id
from servicekit.errors import SieError, invalid
from servicekit.payloads import FILES_TTL_S, PayloadStore
from sie.batch.v1.file_pb2 import File, FileStatus
from sie.batch.v1.record_pb2 import FileRecord, Piece
from sie.errors.v1.error_reason_pb2 import ErrorReason

PIECE_BYTES = 2 * 1024 * 1024
_LONGEST_NAME = 255
_AT_ONCE = 100
# An upload in parts that nobody goes on with is given up after so long.
_UPLOAD_TTL_S = 86400


class Stored(NamedTuple):
    """A file and the revision of its record."""

    record: FileRecord
    revision: int


class Files:
    """The files of all tenants.

    Args:
        records: what is known of them.
        store: their pieces.
        most_bytes: of a file that is uploaded.
        most_tenant_bytes: of all files of a tenant; uploads beyond are refused. 0: no bound.
        clock: seconds since 1970 UTC.
    """

    def __init__(
        self,
        records: Records,
        store: PayloadStore,
        most_bytes: int,
        most_tenant_bytes: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._records = records
        self._store = store
        self.most_bytes = most_bytes
        self._quota = Quota(most_tenant_bytes, self._bytes_of)
        self._clock = clock

    def new(self, filename: str, purpose: str, file_id: str = "") -> FileRecord:
        """A file that is not kept yet.

        Raises:
            SieError: INVALID_INPUT.
        """
        if not 0 < len(filename) <= _LONGEST_NAME or not filename.isprintable():
            raise invalid("filename", f"must have 1 to {_LONGEST_NAME} printable characters")
        now = int(self._clock())
        file = File(
            id=file_id or new_id("file-"),
            object="file",
            created_at=now,
            expires_at=now + int(FILES_TTL_S),
            filename=filename,
            purpose=purpose,
            status=FileStatus.FILE_STATUS_UPLOADING,
        )
        return FileRecord(file=file)

    async def put_piece(
        self, file_id: str, pieces: Sequence[Piece], epoch: int, data: bytes
    ) -> Piece:
        """Keeps what follows some pieces; it belongs to the file once a record says so."""
        await self._store.put(_piece_key(file_id, len(pieces), epoch), data)
        return Piece(epoch=epoch, size_bytes=len(data))

    async def add(self, tenant: str, record: FileRecord, data: bytes) -> None:
        """Keeps what follows in a file that is uploaded.

        Raises:
            SieError: PAYLOAD_TOO_LARGE, QUOTA_EXCEEDED, PAYLOAD_UNAVAILABLE.
        """
        await self._add(tenant, record, data)
        self._quota.settle(tenant, len(data))

    async def gather(
        self, tenant: str, record: FileRecord, blocks: AsyncIterator[bytes], epoch: int = 0
    ) -> None:
        """Keeps the content of a file, which is not known yet.

        Raises:
            SieError: PAYLOAD_TOO_LARGE, QUOTA_EXCEEDED, PAYLOAD_UNAVAILABLE, or what `blocks`
                raises.
        """
        gathered = bytearray()
        try:
            async for block in blocks:
                gathered += block
                if len(gathered) >= PIECE_BYTES:
                    await self._add(tenant, record, bytes(gathered), epoch)
                    gathered.clear()
            await self._add(tenant, record, bytes(gathered), epoch)
        except BaseException:
            await self._forget_pieces(record)
            raise
        finally:
            self._quota.settle(tenant, record.file.bytes)

    async def _add(self, tenant: str, record: FileRecord, data: bytes, epoch: int = 0) -> None:
        """As `add`, with the room still taken."""
        self.check_size(record.file.bytes + len(data))
        if not data:
            return
        await self._quota.take(tenant, len(data))
        try:
            piece = await self.put_piece(record.file.id, record.pieces, epoch, data)
        except BaseException:
            self._quota.settle(tenant, len(data))
            raise
        record.pieces.append(piece)
        record.file.bytes += len(data)

    async def keep(self, tenant: str, record: FileRecord) -> None:
        """Makes a whole file known. One that is known already stays as it is."""
        record.file.status = FileStatus.FILE_STATUS_PROCESSED
        try:
            await self.create(tenant, record)
        except Conflict:
            return

    def seal(self, record: FileRecord, *, partial: bool) -> None:
        """Sets how a file stands whose next part has come, and for how long that is kept."""
        if partial:
            record.file.expires_at = int(self._clock()) + _UPLOAD_TTL_S
        else:
            record.file.status = FileStatus.FILE_STATUS_PROCESSED
            record.file.expires_at = record.file.created_at + int(FILES_TTL_S)

    async def create(self, tenant: str, record: FileRecord) -> None:
        """Makes a file known.

        Raises:
            Conflict: it is known.
        """
        await self._records.create(_key(tenant, record.file.id), record.SerializeToString())

    async def update(self, tenant: str, stored: Stored) -> None:
        """Writes over what was known of a file.

        Raises:
            Conflict: somebody else did.
        """
        key = _key(tenant, stored.record.file.id)
        await self._records.update(key, stored.record.SerializeToString(), stored.revision)

    async def get(self, tenant: str, file_id: str) -> Stored:
        """A file.

        Raises:
            SieError: FILE_NOT_FOUND.
        """
        found = await self._records.read(_key(tenant, file_id)) if is_id(file_id) else None
        if found is not None:
            record = FileRecord.FromString(found[0])
            if record.file.expires_at > self._clock():
                return Stored(record, found[1])
            await self._remove(tenant, record)
        raise SieError(
            ErrorReason.ERROR_REASON_FILE_NOT_FOUND,
            f"there is no file '{file_id[:80]}'",
            file_id=file_id[:80],
        )

    async def delete(self, tenant: str, file_id: str) -> None:
        """Removes a file and its pieces.

        Raises:
            SieError: FILE_NOT_FOUND.
        """
        await self._remove(tenant, (await self.get(tenant, file_id)).record)

    async def ids(self, tenant: str) -> list[str]:
        """Ids of a tenant's files, newest first."""
        return [key.id for key in reversed(await self._records.keys("file", tenant))]

    async def read(self, record: FileRecord, offset: int) -> bytes:
        """The rest of the piece in which `offset` lies; empty at the end."""
        begin = 0
        for index, piece in enumerate(record.pieces):
            if offset < begin + piece.size_bytes:
                key = _piece_key(record.file.id, index, piece.epoch)
                return (await self._store.get(key))[offset - begin :]
            begin += piece.size_bytes
        return b""

    async def content(self, record: FileRecord, offset: int = 0) -> AsyncGenerator[bytes]:
        """The content from `offset` on, piece by piece."""
        while data := await self.read(record, offset):
            yield data
            offset += len(data)

    async def _bytes_of(self, tenant: str) -> int:
        """What a tenant's files have together."""
        total, ids = 0, await self.ids(tenant)
        for first in range(0, len(ids), _AT_ONCE):
            page = ids[first : first + _AT_ONCE]
            files = await asyncio.gather(*(self.find(tenant, each) for each in page))
            total += sum(file.bytes for file in files if file)
        return total

    async def find(self, tenant: str, file_id: str) -> File | None:
        """A file that was listed, unless it has gone since."""
        try:
            return (await self.get(tenant, file_id)).record.file
        except SieError as error:
            if error.reason == ErrorReason.ERROR_REASON_FILE_NOT_FOUND:
                return None
            raise

    def check_size(self, size: int) -> None:
        """Raises SieError, PAYLOAD_TOO_LARGE, for more than a file may have."""
        if size > self.most_bytes:
            raise SieError(
                ErrorReason.ERROR_REASON_PAYLOAD_TOO_LARGE,
                f"the file is larger than {self.most_bytes} bytes",
                limit_bytes=self.most_bytes,
            )

    async def _remove(self, tenant: str, record: FileRecord) -> None:
        await self._records.remove(_key(tenant, record.file.id))
        self._quota.settle(tenant, 0)
        await self._forget_pieces(record)

    async def _forget_pieces(self, record: FileRecord) -> None:
        for index, piece in enumerate(record.pieces):
            await self._store.delete(_piece_key(record.file.id, index, piece.epoch))


def is_id(text: str) -> bool:
    """Whether a text can be an id: others are no keys."""
    return 0 < len(text) <= _LONGEST_NAME and all(
        character.isascii() and (character.isalnum() or character in "-_") for character in text
    )


def _key(tenant: str, file_id: str) -> Key:
    return Key("file", tenant, file_id)


def _piece_key(file_id: str, index: int, epoch: int) -> str:
    return f"{file_id}.{epoch}.{index}"
