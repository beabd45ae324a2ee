"""InferenceService: validate, route, split, dispatch, join.

What differs between the verbs is in gateway/verbs, a module for each.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from gateway import routing
from gateway.adoption import Adoption
from gateway.cluster import Cluster
from gateway.endpoint import Call, Reply
from gateway.large_bodies import beside_the_loop
from gateway.pools import PoolService
from gateway.queue.dispatch import Dispatcher
from gateway.queue.work import Chunk, Work
from gateway.refusals import Refusals
from gateway.verbs import encode, extract, score, tokenize
from gateway.verbs.verb import Verb
from gateway.work_class import work_class_of
from servicekit.errors import SieError, from_proto
from servicekit.registry_reads import split_model
from servicekit.subjects import Lane
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1.inference_service_pb2 import (
    EncodeRequest,
    ExtractRequest,
    ScoreRequest,
    TokenizeRequest,
)
from sie.inference.v1.item_pb2 import Item
from sie.inference.v1.result_pb2 import Timing
from sie.registry.v1.model_pb2 import Model

# A chunk is small enough that a large request spreads over workers.
CHUNK_ITEMS = 32
CHUNK_BYTES = 256 * 1024

_PHASES = ("queue_ms", "tokenization_ms", "inference_ms", "postprocessing_ms")


class InferenceService:
    """A method for each verb."""

    def __init__(
        self,
        cluster: Cluster,
        adoption: Adoption,
        pools: PoolService,
        dispatcher: Dispatcher,
        refusals: Refusals,
        max_items: int,
    ) -> None:
        self._cluster = cluster
        self._adoption = adoption
        self._pools = pools
        self._dispatcher = dispatcher
        self._refusals = refusals
        self._max_items = max_items

    async def encode(self, request: EncodeRequest, call: Call) -> Reply:
        return await self._answer(encode, request, call)

    async def score(self, request: ScoreRequest, call: Call) -> Reply:
        return await self._answer(score, request, call)

    async def extract(self, request: ExtractRequest, call: Call) -> Reply:
        return await self._answer(extract, request, call)

    async def tokenize(self, request: TokenizeRequest, call: Call) -> Reply:
        return await self._answer(tokenize, request, call)

    async def _answer(self, verb: Verb, request: Any, call: Call) -> Reply:
        bundle, model_id = split_model(request.model)
        model = self._cluster.model(model_id, call.principal.sees)
        call.principal.check_model(model.model_id)
        asked = routing.wanted(call.metadata, bundle)
        # Before it is looked up: who may not use a pool need not learn whether there is one.
        call.principal.check_pool(asked.pool)
        call.record.model = model.model_id
        size = request.ByteSize()
        await beside_the_loop(size, verb.check, request, model, self._max_items)
        call.record.items += len(request.items)
        lane = await self._route(model, asked)
        try:
            self._adoption.ensure_hosted(model.model_id, lane)
            results = await self._dispatch(lane, model, verb, request, call)
            call.admission.tokens = sum(result.input_tokens for result in results)
            _raise_if_all_failed(results)
        except SieError as error:
            self._refusals.rejected(error, lane)
            raise
        timing = _timing(results, call)
        size = sum(result.ByteSize() for result in results)
        body = await beside_the_loop(size, verb.join, request, results, timing)
        return Reply(body, _headers(results, timing))

    async def _route(self, model: Model, asked: routing.Wanted) -> Lane:
        try:
            return self._cluster.route(model, asked)
        except SieError as error:
            created = error.reason == ErrorReason.ERROR_REASON_POOL_NOT_FOUND
            if not created or not await self._pools.has_appeared(asked.pool):
                raise
        return self._cluster.route(model, asked)

    async def _dispatch(
        self, lane: Lane, model: Model, verb: Verb, request: Any, call: Call
    ) -> list[Any]:
        work = Work(
            verb.NAME,
            lane,
            model.model_id,
            self._cluster.revision,
            call.request_id,
            call.deadline,
            call.principal.tenant,
            work_class_of(call.metadata),
            call.span,
        )
        try:
            chunks = await beside_the_loop(request.ByteSize(), _chunks, verb, request)
            return await self._dispatcher.run(work, chunks)
        except SieError as error:
            if error.reason == ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED:
                self._adoption.check_loaded(model.model_id, lane)
            raise


def split(verb: Verb, request: Any) -> Iterator[Chunk]:
    """Chunks of at most CHUNK_ITEMS items and about CHUNK_BYTES; an item is never split."""
    for first, last in _runs(request.items):
        whole = last - first == len(request.items)
        part = request if whole else verb.part(request, first, last)
        yield Chunk(first, last - first, part.SerializeToString())


def _chunks(verb: Verb, request: Any) -> list[Chunk]:
    return list(split(verb, request))


def _runs(items: Sequence[Item]) -> Iterator[tuple[int, int]]:
    first, size = 0, 0
    for index, item in enumerate(items):
        bytes_of_item = item.ByteSize()
        if index > first and (index - first == CHUNK_ITEMS or size + bytes_of_item > CHUNK_BYTES):
            yield first, index
            first, size = index, 0
        size += bytes_of_item
    yield first, len(items)


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
        "x-postprocessing-time": f"{timing.postprocessing_ms:.1f}",
        "x-total-time": f"{timing.total_ms:.1f}",
    }
