"""InferenceService: validate, route, split, dispatch, join.

A request's reply is never parsed here. Protobuf messages that are written one after the
other merge, and repeated fields append: the reply is the workers' fragments in order,
followed by a fragment of our own with the model and the timing.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any

from gateway import validation
from gateway.api import Call, Reply
from gateway.cluster import Cluster
from gateway.dispatch import Chunk, Dispatcher
from servicekit.errors import SieError, from_proto
from servicekit.subjects import Lane
from sie.errors.v1.error_pb2 import Error
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1.inference_service_pb2 import EncodeRequest, EncodeResponse
from sie.inference.v1.result_pb2 import EncodeResult, Timing
from sie.registry.v1.model_pb2 import Model

log = logging.getLogger(__name__)

# A chunk is small enough that a large request spreads over workers.
CHUNK_ITEMS = 32
CHUNK_BYTES = 256 * 1024

_PHASES = ("queue_ms", "tokenization_ms", "inference_ms", "postprocessing_ms")


class InferenceService:
    """The three verbs. Those without an engine are left to the pipeline's NOT_IMPLEMENTED."""

    def __init__(self, cluster: Cluster, dispatcher: Dispatcher, max_items: int) -> None:
        self._cluster = cluster
        self._dispatcher = dispatcher
        self._max_items = max_items

    async def encode(self, request: EncodeRequest, call: Call) -> Reply:
        model = self._cluster.model(request.model)
        validation.check_encode(request, model, self._max_items)
        lane = self._cluster.route(model, call.metadata)
        self._cluster.ensure_hosted(model.model_id, lane)
        chunks = list(split_encode(request))
        results = await self._run("encode", lane, model, chunks, call)
        fragments = [encode_fragment(result, request) for result in results]
        _raise_if_all_failed(results)
        timing = _timing(results, call)
        tail = EncodeResponse(model=model.model_id, timing=timing)
        return Reply(b"".join([*fragments, tail.SerializeToString()]), _headers(results, timing))

    async def _run(
        self, verb: str, lane: Lane, model: Model, chunks: Sequence[Chunk], call: Call
    ) -> list[Any]:
        try:
            return await self._dispatcher.run(
                verb,
                lane,
                model.model_id,
                self._cluster.revision,
                chunks,
                call.request_id,
                call.deadline,
            )
        except SieError as error:
            if error.reason == ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED:
                self._cluster.check_loaded(model.model_id, lane)
            raise


def split_encode(request: EncodeRequest) -> Iterator[Chunk]:
    """Chunks of at most CHUNK_ITEMS items and about CHUNK_BYTES; an item is never split."""
    for first, last in _runs(request):
        if last - first == len(request.items):
            part = request
        else:
            part = EncodeRequest(items=request.items[first:last], params=request.params)
        yield Chunk(first, last - first, part.SerializeToString())


def _runs(request: EncodeRequest) -> Iterator[tuple[int, int]]:
    first, size = 0, 0
    for index, item in enumerate(request.items):
        bytes_of_item = item.ByteSize()
        if index > first and (index - first == CHUNK_ITEMS or size + bytes_of_item > CHUNK_BYTES):
            yield first, index
            first, size = index, 0
        size += bytes_of_item
    yield first, len(request.items)


def encode_fragment(result: Any, request: EncodeRequest) -> bytes:
    """A worker's results as they are, or the chunk's one error for each of its items."""
    if result.WhichOneof("outcome") == "encode":
        return bytes(result.encode)
    items = request.items[result.first_item : result.first_item + result.item_count]
    # The result is a packed twin, whose messages are of classes of their own.
    error = Error.FromString(result.error.SerializeToString())
    failed = [EncodeResult(id=item.id, error=error) for item in items]
    return EncodeResponse(items=failed).SerializeToString()


def _raise_if_all_failed(results: Sequence[Any]) -> None:
    errors = [result.error for result in results if result.WhichOneof("outcome") == "error"]
    if len(errors) == len(results):
        raise from_proto(errors[0])


def _timing(results: Sequence[Any], call: Call) -> Timing:
    timing = Timing(total_ms=(time.perf_counter() - call.arrived) * 1000)
    for phase in _PHASES:
        setattr(timing, phase, max(getattr(result.timing, phase) for result in results))
    return timing


def _headers(results: Sequence[Any], timing: Timing) -> dict[str, str]:
    return {
        "x-sie-worker": ",".join(sorted({result.worker_id for result in results})),
        "x-queue-time": f"{timing.queue_ms:.1f}",
        "x-tokenization-time": f"{timing.tokenization_ms:.1f}",
        "x-inference-time": f"{timing.inference_ms:.1f}",
        "x-total-time": f"{timing.total_ms:.1f}",
    }
