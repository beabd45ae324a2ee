"""Batches of many requests, and the files that they read and write, as plans."""

import base64
import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from sie_sdk._core.capacity import Capacity
from sie_sdk._core.failure import Failure, error_of
from sie_sdk._core.plan import Parts, Plan, Sleep, Surroundings, once, persist
from sie_sdk._core.progress import OnProgress, Progress
from sie_sdk._core.retry import Patience
from sie_sdk._core.routing import routing
from sie_sdk._core.rpcs import (
    APPEND_FILE,
    CANCEL_BATCH,
    CREATE_BATCH,
    CREATE_FILE,
    DELETE_BATCH,
    DELETE_FILE,
    GET_BATCH,
    LIST_BATCHES,
    READ_FILE,
    Call,
    Rpc,
)
from sie_sdk._core.settings import Settings
from sie_sdk.errors import SIEConnectionError
from sie_sdk.types import BatchInfo, BatchRequest, BatchResult, FileInfo

_PART_BYTES = 4 * 1024 * 1024
_PATIENCE_S = 120.0
_LOOK_EVERY_S = (0.2, 5.0)
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})


class BatchOperations:
    """The calls of a client that are about batches.

    Args:
        settings: their defaults.
        around: clock and chance.
    """

    def __init__(self, settings: Settings, around: Surroundings) -> None:
        self._settings = settings
        self._around = around
        self._capacity = Capacity(settings, around)

    def create_batch(
        self,
        endpoint: str,
        requests: str | PathLike[str] | Iterable[BatchRequest] | None = None,
        *,
        input_file_id: str | None = None,
        input_uri: str | None = None,
        output_uri: str | None = None,
        completion_window: str = "24h",
        metadata: Mapping[str, str] | None = None,
        gpu: str | None = None,
    ) -> Plan[BatchInfo]:
        """Begins a batch: many requests that are computed behind interactive work.

        Args:
            endpoint: the path that they are for: `/v1/encode`, or `/v1/embeddings`.
            requests: a file of them, one a line, or requests.
            input_file_id: a file that was uploaded, in place of `requests`.
            input_uri: where the server finds them: `s3://`, `gs://` or `file://`.
            output_uri: where the server writes the results as well.
            completion_window: how long it may take.
            metadata: notes.
            gpu: machine profile, or pool/profile.

        Returns:
            The batch; `wait_for_batch` waits for its end.

        Raises:
            SIEError: it was refused.
            ValueError: not one of `requests`, `input_file_id` and `input_uri` was given.
        """
        if sum(each is not None for each in (requests, input_file_id, input_uri)) != 1:
            raise ValueError("one of requests, input_file_id and input_uri is needed")
        if requests is not None:
            name, blocks = _content_of(requests)
            input_file_id = (yield from self._upload(name, blocks))["id"]
        given = {
            "endpoint": endpoint,
            "input_file_id": input_file_id,
            "input_uri": input_uri,
            "output_uri": output_uri,
            "completion_window": completion_window,
            "metadata": dict(metadata) if metadata else None,
        }
        message = {key: value for key, value in given.items() if value is not None}
        call = Call(CREATE_BATCH, message, routing(gpu or self._settings.gpu))
        # Once: a batch that was made twice would be computed twice.
        outcome = yield from once(call, self._settings.timeout_s)
        if isinstance(outcome, Failure):
            raise error_of(outcome)
        batch: BatchInfo = outcome.value
        return batch

    def get_batch(self, batch_id: str) -> Plan[BatchInfo]:
        """A batch, and how far it is.

        Raises:
            RequestError: BATCH_NOT_FOUND.
        """
        return self._insist(GET_BATCH, {"batch_id": batch_id})

    def list_batches(self) -> Plan[list[BatchInfo]]:
        """Every batch of the caller's tenant, the newest first."""
        found: list[BatchInfo] = []
        after: dict[str, Any] = {}
        while True:
            page = yield from self._insist(LIST_BATCHES, {"limit": 100, **after})
            found.extend(page["data"])
            if not page["has_more"]:
                return found
            after = {"after": page["last_id"]}

    def cancel_batch(self, batch_id: str) -> Plan[BatchInfo]:
        """Stops a batch; what was computed can still be read. One that has ended stays so."""
        return self._insist(CANCEL_BATCH, {"batch_id": batch_id})

    def delete_batch(self, batch_id: str) -> Plan[None]:
        """Forgets a batch that has ended, not its files."""
        yield from self._insist(DELETE_BATCH, {"batch_id": batch_id})

    def wait_for_batch(
        self,
        batch_id: str,
        *,
        progress: bool | OnProgress = False,
        timeout_s: float | None = None,
    ) -> Plan[BatchInfo]:
        """Waits for a batch to end, in whichever way: `status` says how.

        Args:
            batch_id: which.
            progress: a bar on stderr, or a function of (requests done, requests in all).
            timeout_s: in seconds; None: as long as it takes.

        Raises:
            SIEConnectionError: it had not ended in time.
        """
        began = self._around.clock()
        told = Progress(progress, None)
        done, pause = 0, _LOOK_EVERY_S[0]
        while True:
            batch = yield from self.get_batch(batch_id)
            counts = batch["request_counts"]
            if total := counts["total"]:
                told.know(total)
            if (now := counts["completed"] + counts["failed"]) > done:
                told.add(now - done)
                done = now
            if batch["status"] in _ENDED:
                return batch
            if timeout_s is not None and self._around.clock() - began > timeout_s:
                raise SIEConnectionError(f"batch {batch_id} is {batch['status']} after the time")
            yield Sleep(pause)
            pause = min(pause * 1.5, _LOOK_EVERY_S[1])

    def batch_results(self, batch_id: str) -> Parts[BatchResult]:
        """The results of a batch that has ended, in the order of its requests, as they are read.

        Those that failed are not among them: see `batch_errors`.
        """
        return Parts(self._lines(batch_id, "output_file_id"), 1)

    def batch_errors(self, batch_id: str) -> Parts[BatchResult]:
        """The requests of a batch that failed, with the responses that they had."""
        return Parts(self._lines(batch_id, "error_file_id"), 1)

    def upload_file(self, source: str | PathLike[str] | bytes) -> Plan[FileInfo]:
        """Uploads a file of requests, in parts.

        Args:
            source: its path, or its content.

        Raises:
            SIEError: it was refused.
        """
        if isinstance(source, bytes):
            return self._upload("input.jsonl", _parts_of([source]))
        return self._upload(*_content_of(source))

    def read_file(self, file_id: str) -> Parts[bytes]:
        """The content of a file, in pieces.

        Raises:
            RequestError: FILE_NOT_FOUND.
        """
        cursor = _Cursor(file_id)
        return Parts(_while(cursor, lambda: self._read(cursor)), 1)

    def delete_file(self, file_id: str) -> Plan[None]:
        """Removes a file."""
        yield from self._insist(DELETE_FILE, {"file_id": file_id})

    def _upload(self, name: str, blocks: Iterator[bytes]) -> Plan[FileInfo]:
        content = next(blocks, b"")
        following = next(blocks, None)
        message = {"filename": name, "content": content, "partial": following is not None}
        file = yield from self._insist(CREATE_FILE, message)
        offset = len(content)
        while following is not None:
            content, following = following, next(blocks, None)
            message = {
                "file_id": file["id"],
                "offset": offset,
                "content": content,
                "partial": following is not None,
            }
            file = yield from self._insist(APPEND_FILE, message)
            offset += len(content)
        info: FileInfo = file
        return info

    def _lines(self, batch_id: str, which: str) -> Iterator[Plan[list[BatchResult]]]:
        cursor = _Cursor()

        def part() -> Plan[list[BatchResult]]:
            if cursor.file_id is None:
                batch: Mapping[str, Any] = yield from self.get_batch(batch_id)
                cursor.file_id = batch.get(which) or None
                cursor.ended = cursor.file_id is None
                return []
            (content,) = yield from self._read(cursor)
            return [json.loads(line) for line in cursor.lines(content)]

        return _while(cursor, part)

    def _read(self, cursor: "_Cursor") -> Plan[list[bytes]]:
        message = {"file_id": cursor.file_id, "offset": cursor.offset}
        reply = yield from self._insist(READ_FILE, message)
        content = reply.get("content", b"")
        cursor.offset = reply["next_offset"]
        cursor.ended = not cursor.offset
        # JSON has no bytes.
        return [content if isinstance(content, bytes) else base64.b64decode(content)]

    def _insist(self, rpc: Rpc, message: Mapping[str, Any]) -> Plan[Any]:
        """Asks, again where that does no harm, for a few minutes at most."""
        reply = yield from persist(
            Call(rpc, message),
            Patience(_PATIENCE_S),
            self._settings.timeout_s,
            self._around,
            self._capacity.wait,
        )
        return reply.value


class _Cursor:
    """How far a file was read."""

    def __init__(self, file_id: str | None = None) -> None:
        self.file_id = file_id
        self.offset = 0
        self.ended = False
        self._rest = b""

    def lines(self, content: bytes) -> list[bytes]:
        """The lines that a piece ends; the last piece ends the last of them."""
        *whole, self._rest = (self._rest + content).split(b"\n")
        if self.ended:
            whole.append(self._rest)
        return [line for line in whole if line]


def _while(cursor: _Cursor, plan: Any) -> Iterator[Plan[Any]]:
    """Plans of which each begins where the one before has ended."""
    while not cursor.ended:
        yield plan()


def _content_of(
    requests: str | PathLike[str] | Iterable[BatchRequest],
) -> tuple[str, Iterator[bytes]]:
    """Name and content of a file of requests."""
    if isinstance(requests, str | PathLike):
        path = Path(requests)
        return path.name, _parts_of(_blocks(path))
    lines = (json.dumps(each).encode() + b"\n" for each in requests)
    return "requests.jsonl", _parts_of(lines)


def _blocks(path: Path) -> Generator[bytes, None, None]:
    with path.open("rb") as file:
        while block := file.read(_PART_BYTES):
            yield block


def _parts_of(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in parts that fit into requests."""
    gathered = b""
    for block in blocks:
        gathered += block
        while len(gathered) >= _PART_BYTES:
            yield gathered[:_PART_BYTES]
            gathered = gathered[_PART_BYTES:]
    if gathered:
        yield gathered
