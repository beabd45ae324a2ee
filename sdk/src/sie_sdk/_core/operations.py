"""Everything a client can do, as plans; the two clients only run them."""

from collections.abc import Iterable, Iterator, Mapping, Sized
from itertools import chain
from typing import Any, Unpack, overload

from sie_sdk._core import results
from sie_sdk._core.batches import BatchOperations
from sie_sdk._core.failure import Failure, error_of
from sie_sdk._core.items import chunks, is_one, item
from sie_sdk._core.plan import Parts, Plan, Sleep, Surroundings, Together, once, persist
from sie_sdk._core.pools import Pools
from sie_sdk._core.progress import Progress
from sie_sdk._core.retry import Patience
from sie_sdk._core.routing import checked_model, routing
from sie_sdk._core.rpcs import ENCODE, EXTRACT, GET_MODEL, LIST_MODELS, SCORE, Call, Reply, Rpc
from sie_sdk._core.settings import Settings
from sie_sdk.errors import ProvisioningError
from sie_sdk.keywords import BulkKeywords, CallKeywords, checked
from sie_sdk.types import (
    CapacityInfo,
    EncodeResult,
    ExtractResult,
    Item,
    ItemLike,
    ModelInfo,
    PoolInfo,
    ScoreResult,
    Truncate,
)

# With what is in flight, a few seconds of work also for a small machine.
_BATCH_ITEMS = 64
# Well below what servers take by default (16 MiB).
_BATCH_BYTES = 4 * 1024 * 1024
_IN_FLIGHT = 4
_PROVISION_TIMEOUT_S = 900.0
_LOOK_EVERY_S = 5.0

_ENCODE_PARAMS = (
    "output_types",
    "output_dtype",
    "instruction",
    "is_query",
    "dimensions",
    "truncate",
    "profile",
)


class Operations(BatchOperations):
    """The calls of one client.

    Args:
        settings: their defaults.
        around: clock and chance.
    """

    def __init__(self, settings: Settings, around: Surroundings) -> None:
        super().__init__(settings, around)
        self._pools = Pools(settings, around)

    @overload
    def encode(  # type: ignore[overload-overlap]
        self, model: str, items: str | Item | Mapping[str, Any], **how: Unpack[BulkKeywords]
    ) -> Plan[EncodeResult]: ...
    @overload
    def encode(
        self, model: str, items: Iterable[ItemLike], **how: Unpack[BulkKeywords]
    ) -> Plan[list[EncodeResult]]: ...
    def encode(self, model: str, items: Any, **how: Unpack[BulkKeywords]) -> Plan[Any]:
        """Embeds one item, or several.

        Many items are sent as several requests, some at a time; see BulkKeywords. An iterable
        is read to its end first: for more items than fit into memory there is `encode_iter`.

        Args:
            model: its id.
            items: a text or an Item, or an iterable of them.
            **how: see BulkKeywords.

        Returns:
            For one item its result, with `dense` of shape (dims,), `multivector` of shape
            (tokens, dims) and `sparse` as asked for; for several, a list of results in the order
            of the items. An item of several that failed has `error` instead of vectors.

        Raises:
            SIEError: the call failed; see sie_sdk.errors.
            TypeError: an item is none.
        """
        given = checked(how, BulkKeywords)
        if is_one(items):
            return self._encode_one(model, items, given)
        read = [item(each) for each in items]
        progress = Progress(given.get("progress", False), len(read))
        plans, in_flight = self._encode_parts(model, read, given, progress, is_bulk=True)
        return _joined(plans, in_flight)

    def encode_iter(
        self, model: str, items: Iterable[ItemLike], **how: Unpack[BulkKeywords]
    ) -> Parts[EncodeResult]:
        """Embeds as many items as there are, without holding more than a few batches of them.

        Args:
            model: its id.
            items: read as results are taken, `batch_size` times `in_flight` ahead.
            **how: see BulkKeywords.

        Returns:
            An iterator of results in the order of the items, as `encode` gives them.

        Raises:
            SIEError: a request failed; raised where its first result would come.
        """
        given = checked(how, BulkKeywords)
        total = len(items) if isinstance(items, Sized) else None
        progress = Progress(given.get("progress", False), total)
        read = _counted(items, progress)
        return self._encode_parts(model, read, given, progress, is_bulk=True)

    def score(
        self,
        model: str,
        query: ItemLike,
        items: Iterable[ItemLike],
        *,
        instruction: str | None = None,
        truncate: Truncate | None = None,
        **how: Unpack[CallKeywords],
    ) -> Plan[ScoreResult]:
        """Ranks items by their relevance to a query.

        Args:
            model: its id; rerankers rank, and so does any model with dense or token vectors.
            query: what to compare with.
            items: what to rank.
            instruction: what relevance means, for models that take one.
            truncate: what to do with pairs that are too long.
            **how: see CallKeywords.

        Returns:
            `scores`, most relevant first: each with `item_id`, `score`, `rank` and `index`.

        Raises:
            SIEError: the call failed.
        """
        given = checked(how, CallKeywords)
        message = {
            "query": item(query),
            "items": [item(each) for each in items],
            "instruction": instruction,
            "truncate": truncate,
            "profile": given.get("profile"),
            "options": self._options(given),
        }
        return self._score(SCORE, model, message, given)

    @overload
    def extract(  # type: ignore[overload-overlap]
        self,
        model: str,
        items: str | Item | Mapping[str, Any],
        *,
        labels: Iterable[str] | None = None,
        output_schema: Mapping[str, Any] | None = None,
        instruction: str | None = None,
        threshold: float | None = None,
        **how: Unpack[CallKeywords],
    ) -> Plan[ExtractResult]: ...
    @overload
    def extract(
        self,
        model: str,
        items: Iterable[ItemLike],
        *,
        labels: Iterable[str] | None = None,
        output_schema: Mapping[str, Any] | None = None,
        instruction: str | None = None,
        threshold: float | None = None,
        **how: Unpack[CallKeywords],
    ) -> Plan[list[ExtractResult]]: ...
    def extract(
        self,
        model: str,
        items: Any,
        *,
        labels: Iterable[str] | None = None,
        output_schema: Mapping[str, Any] | None = None,
        instruction: str | None = None,
        threshold: float | None = None,
        **how: Unpack[CallKeywords],
    ) -> Plan[Any]:
        """Finds entities, relations, classes and objects.

        Args:
            model: its id.
            items: a text or an Item, or an iterable of them.
            labels: what to look for; zero-shot models need them.
            output_schema: JSON schema of `data`, for models that fill one.
            instruction: for models that take one.
            threshold: what scores below it is left out, in [0, 1]. The profile's.
            **how: see CallKeywords.

        Returns:
            For one item its result, for several a list of results in their order.

        Raises:
            SIEError: the call failed.
        """
        given = checked(how, CallKeywords)
        one = is_one(items)
        read = [item(each) for each in ([items] if one else items)]
        params = {
            "labels": None if labels is None else list(labels),
            "output_schema": output_schema,
            "instruction": instruction,
            "threshold": threshold,
            "profile": given.get("profile"),
            "options": self._options(given),
        }
        message = {"items": read, "params": _present(params) or None}
        return self._extract(model, message, given, is_single=one)

    def list_models(self) -> Plan[list[ModelInfo]]:
        """Every model of the registry, with its state in the cluster."""
        models: list[ModelInfo] = []
        token = ""
        while True:
            page = yield from self._ask(LIST_MODELS, {"page_token": token} if token else {})
            models.extend(page["models"])
            if not (token := page.get("next_page_token", "")):
                return models

    def get_model(self, model: str) -> Plan[ModelInfo]:
        """One model.

        Raises:
            RequestError: MODEL_NOT_FOUND.
        """
        info: ModelInfo = yield from self._ask(GET_MODEL, {"model": checked_model(model)})
        return info

    def get_capacity(self, gpu: str | None = None) -> Plan[CapacityInfo]:
        """The cluster's workers, or those of one machine profile; only healthy ones are counted.

        Raises:
            RequestError: `not_gateway`, the address is of something else.
        """
        return self._capacity.get(gpu)

    def wait_for_capacity(
        self,
        gpu: str | None = None,
        model: str | None = None,
        *,
        timeout_s: float = _PROVISION_TIMEOUT_S,
    ) -> Plan[CapacityInfo]:
        """Waits until a worker serves, and tells the cluster to make one meanwhile.

        That is a small request, since only requests are demand.

        Args:
            gpu: machine profile, or pool/profile; None: any.
            model: to be ready there; None: any model that reads text.
            timeout_s: in seconds.

        Raises:
            ProvisioningError: there was none in time.
        """
        gpu = gpu or self._settings.gpu
        began = self._around.clock()
        model = model or (yield from self._any_model())
        if model is None:
            return (yield from self._until_there(gpu, began + timeout_s))
        message = {"items": [item("warmup")]}
        given = {"gpu": gpu, "provision_timeout_s": timeout_s}
        yield from self._persist(ENCODE, model, message, given)
        return (yield from self._capacity.get(gpu))

    def create_pool(
        self,
        name: str,
        gpus: Mapping[str, int],
        *,
        bundle: str | None = None,
        minimum_worker_count: int | None = None,
        ttl_seconds: int | None = None,
    ) -> Plan[PoolInfo]:
        """Reserves workers, and keeps the lease until the pool is deleted or the client closed.

        A pool of that name takes on the new numbers. Calls use it with `gpu="name/profile"`.

        Args:
            name: lower-case letters, digits and `-`.
            gpus: workers wanted, by machine profile.
            bundle: that they serve. `default`.
            minimum_worker_count: at which the pool is active. All that are wanted.
            ttl_seconds: without renewal, after which the pool goes. 1200.

        Raises:
            PoolError: it was refused.
        """
        return self._pools.create(
            name,
            gpus,
            bundle=bundle,
            minimum_worker_count=minimum_worker_count,
            ttl_seconds=ttl_seconds,
        )

    def get_pool(self, name: str) -> Plan[PoolInfo | None]:
        """A pool, with `name`, `spec` and `status`; None where there is none."""
        return self._pools.get(name)

    def list_pools(self) -> Plan[list[PoolInfo]]:
        """Every pool that the caller may see, `default` included."""
        return self._pools.list()

    def delete_pool(self, name: str) -> Plan[bool]:
        """Gives the workers of a pool back; False: there was none of that name."""
        return self._pools.delete(name)

    def _encode_one(self, model: str, one: ItemLike, given: Mapping[str, Any]) -> Plan[Any]:
        parts = self._encode_parts(
            model, [item(one)], given, Progress(given.get("progress", False), 1), is_bulk=False
        )
        for plan in parts.plans:
            return results.only((yield from plan))
        raise AssertionError

    def _encode_parts(
        self,
        model: str,
        items: Iterable[dict[str, Any]],
        given: Mapping[str, Any],
        progress: Progress,
        *,
        is_bulk: bool,
    ) -> Parts[EncodeResult]:
        checked_model(model)
        size, in_flight = given.get("batch_size", _BATCH_ITEMS), given.get("in_flight", _IN_FLIGHT)
        if size < 1 or in_flight < 1:
            raise ValueError("batch_size and in_flight are at least 1")
        params: dict[str, Any] = {key: given[key] for key in _ENCODE_PARAMS if key in given}
        if options := self._options(given):
            params["options"] = options
        if isinstance(params.get("output_types"), Iterable):
            params["output_types"] = list(params["output_types"])

        def part(chunk: list[dict[str, Any]]) -> Plan[list[EncodeResult]]:
            message = {"items": chunk, **({"params": params} if params else {})}
            reply = yield from self._persist(ENCODE, model, message, given, is_bulk=is_bulk)
            encoded = results.encoded(reply, len(chunk))
            progress.add(len(chunk))
            return encoded

        return Parts(map(part, chunks(items, size, _BATCH_BYTES)), in_flight)

    def _score(
        self, rpc: Rpc, model: str, message: Mapping[str, Any], given: Mapping[str, Any]
    ) -> Plan[ScoreResult]:
        reply = yield from self._persist(rpc, model, _present(message), given)
        return results.scored(reply)

    def _extract(
        self, model: str, message: Mapping[str, Any], given: Mapping[str, Any], *, is_single: bool
    ) -> Plan[Any]:
        reply = yield from self._persist(EXTRACT, model, _present(message), given)
        extracted = results.extracted(reply, len(message["items"]))
        return results.only(extracted) if is_single else extracted

    def _persist(
        self,
        rpc: Rpc,
        model: str,
        message: Mapping[str, Any],
        given: Mapping[str, Any],
        *,
        is_bulk: bool = False,
    ) -> Plan[Reply]:
        headers = routing(given.get("gpu", self._settings.gpu), given.get("work_class"))
        patience = Patience(
            given.get("provision_timeout_s", _PROVISION_TIMEOUT_S),
            waits=given.get("wait_for_capacity", True),
            oom_retries=self._settings.oom_retries,
            waits_for_quota=is_bulk,
        )
        timeout_s = given.get("timeout_s", self._settings.timeout_s)
        call = Call(rpc, {"model": checked_model(model), **message}, headers)
        return persist(call, patience, timeout_s, self._around, self._capacity.wait)

    def _ask(self, rpc: Rpc, message: Mapping[str, Any]) -> Plan[Any]:
        outcome = yield from once(Call(rpc, message), self._settings.timeout_s)
        if isinstance(outcome, Failure):
            raise error_of(outcome)
        return outcome.value

    def _options(self, given: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return {**self._settings.options, **given.get("options", {})} or None

    def _any_model(self) -> Plan[str | None]:
        models = yield from self.list_models()
        texts = [
            m for m in models if "text" in m.get("inputs", ()) and "encode" in m.get("tasks", ())
        ]
        return max(texts, key=lambda model: bool(model.get("loaded")), default={"name": None})[
            "name"
        ]

    def _until_there(self, gpu: str | None, end: float) -> Plan[CapacityInfo]:
        while True:
            capacity = yield from self._capacity.get(gpu)
            if capacity["worker_count"]:
                return capacity
            if (left := end - self._around.clock()) <= 0:
                raise ProvisioningError("no worker in time", metadata={"gpu": gpu or ""})
            yield Sleep(min(_LOOK_EVERY_S, left))


def _counted(items: Iterable[ItemLike], progress: Progress) -> Iterator[dict[str, Any]]:
    count = 0
    for each in items:
        count += 1
        yield item(each)
    # Before the last of them are sent.
    progress.know(count)


def _joined(plans: Iterator[Plan[list[Any]]], in_flight: int) -> Plan[list[Any]]:
    parts: list[list[Any]] = yield Together(plans, in_flight)
    return list(chain.from_iterable(parts))


def _present(message: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in message.items() if value is not None}
