"""The client for asyncio."""

import asyncio
import functools
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypeVar

from sie_sdk._core.base import ClientBase
from sie_sdk._core.extras import needed
from sie_sdk._core.failure import Failure
from sie_sdk._core.operations import Operations
from sie_sdk._core.plan import Begin, Command, Parts, Plan, Send, Sleep, Together
from sie_sdk._core.rpcs import Call, Reply
from sie_sdk._core.settings import Settings
from sie_sdk._core.watching import SILENCE_S, Watch
from sie_sdk._http.tls import context_of
from sie_sdk._http.transport import AsyncHttpTransport
from sie_sdk.errors import ClientClosedError
from sie_sdk.types import PoolInfo

log = logging.getLogger("sie_sdk")

P = ParamSpec("P")
T = TypeVar("T")


class Transport(Protocol):
    """Sends calls, many at a time."""

    async def send(self, call: Call, timeout_s: float) -> Reply | Failure: ...
    async def close(self) -> None: ...


def _awaitable(
    operation: Callable[Concatenate[Operations, P], Plan[T]],
) -> "Callable[Concatenate[SIEAsyncClient, P], Coroutine[Any, Any, T]]":
    @functools.wraps(operation)
    async def method(self: "SIEAsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(operation(self._operations, *args, **kwargs))

    return method


def _iterating(
    operation: Callable[Concatenate[Operations, P], Parts[T]],
) -> "Callable[Concatenate[SIEAsyncClient, P], AsyncGenerator[T, None]]":
    @functools.wraps(operation)
    def method(
        self: "SIEAsyncClient", /, *args: P.args, **kwargs: P.kwargs
    ) -> AsyncGenerator[T, None]:
        return self._flat(operation(self._operations, *args, **kwargs))

    return method


class SIEAsyncClient(ClientBase[Transport]):
    """Belongs to one event loop. A call that is cancelled ends at once, and its request with it.

    `close`, or leaving the `async with` block, ends the renewal of leases and every call.
    """

    encode = _awaitable(Operations.encode)
    encode_iter = _iterating(Operations.encode_iter)
    score = _awaitable(Operations.score)
    extract = _awaitable(Operations.extract)
    list_models = _awaitable(Operations.list_models)
    get_model = _awaitable(Operations.get_model)
    get_capacity = _awaitable(Operations.get_capacity)
    wait_for_capacity = _awaitable(Operations.wait_for_capacity)
    create_pool = _awaitable(Operations.create_pool)
    get_pool = _awaitable(Operations.get_pool)
    list_pools = _awaitable(Operations.list_pools)
    delete_pool = _awaitable(Operations.delete_pool)
    create_batch = _awaitable(Operations.create_batch)
    get_batch = _awaitable(Operations.get_batch)
    list_batches = _awaitable(Operations.list_batches)
    cancel_batch = _awaitable(Operations.cancel_batch)
    delete_batch = _awaitable(Operations.delete_batch)
    wait_for_batch = _awaitable(Operations.wait_for_batch)
    batch_results = _iterating(Operations.batch_results)
    batch_errors = _iterating(Operations.batch_errors)
    read_file = _iterating(Operations.read_file)
    upload_file = _awaitable(Operations.upload_file)
    delete_file = _awaitable(Operations.delete_file)

    @asynccontextmanager
    async def pool(self, name: str, gpus: Mapping[str, int], **how: Any) -> AsyncIterator[PoolInfo]:
        """A pool for the length of an `async with` block; takes what `create_pool` takes."""
        made = await self.create_pool(name, gpus, **how)
        try:
            yield made
        finally:
            await self.delete_pool(name)

    async def watch(self, *, reconnect: bool = True) -> AsyncGenerator[Mapping[str, Any], None]:
        """The cluster, a frame each second: `timestamp`, `cluster`, `workers`, `models`.

        Raises:
            RequestError: the gateway refuses.
            SIEConnectionError: it was lost, and `reconnect` is false.
            ImportError: websockets is not installed.
        """
        watch = Watch(self._settings, reconnects=reconnect)
        websockets = needed("websockets.asyncio.client", "watch")
        lost = (OSError, TimeoutError, needed("websockets.exceptions", "watch").WebSocketException)
        while True:
            try:
                async with websockets.connect(
                    watch.url,
                    additional_headers=watch.headers,
                    ssl=context_of(self._settings.tls),
                ) as socket:
                    while True:
                        yield watch.frame(await asyncio.wait_for(socket.recv(), SILENCE_S))
            except lost as error:
                await self._sleep(watch.lost(error))

    async def close(self) -> None:
        """Ends what runs in the background, and the connections. Pools stay until their term."""
        self._closed.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def _open(self, settings: Settings) -> Transport:
        self._closed = asyncio.Event()
        # What runs in the background.
        self._tasks: set[asyncio.Task[None]] = set()
        if settings.is_grpc:
            return needed("sie_sdk._grpc.transport", "grpc").AsyncGrpcTransport(settings)  # type: ignore[no-any-return]
        return AsyncHttpTransport(settings)

    async def _run(self, plan: Plan[T]) -> T:
        answer: Any = None
        try:
            while True:
                answer = await self._do(plan.send(answer))
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        finally:
            plan.close()

    async def _do(self, command: Command) -> Any:
        match command:
            case Send(call, timeout_s):
                return await self._send(call, timeout_s)
            case Sleep(seconds):
                await self._sleep(seconds)
            case Together(plans, in_flight):
                return [each async for each in self._each(iter(plans), in_flight)]
            case Begin(plan):
                task = asyncio.create_task(self._run_beside(plan))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        return None

    async def _send(self, call: Call, timeout_s: float) -> Reply | Failure:
        self._check_open()
        try:
            outcome = await self._transport.send(call, timeout_s)
        except (RuntimeError, ValueError):
            # What libraries raise when their connection is closed under them.
            self._check_open()
            raise
        if isinstance(outcome, Reply):
            self._saw(outcome.headers)
        else:
            self._check_open()
        return outcome

    async def _sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), seconds)
        self._check_open()

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise ClientClosedError("the client is closed")

    async def _flat(self, parts: Parts[T]) -> AsyncGenerator[T, None]:
        async with aclosing(self._each(parts.plans, parts.in_flight)) as each:
            async for part in each:
                for result in part:
                    yield result

    async def _each(self, plans: Iterator[Plan[T]], in_flight: int) -> AsyncGenerator[T, None]:
        """Results in the order of the plans, of which `in_flight` run or wait to be taken."""
        running: deque[asyncio.Task[T]] = deque()
        try:
            for plan in plans:
                running.append(asyncio.create_task(self._run(plan)))
                if len(running) >= in_flight:
                    yield await running[0]
                    running.popleft()
            while running:
                yield await running[0]
                running.popleft()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _run_beside(self, plan: Plan[None]) -> None:
        try:
            await self._run(plan)
        except ClientClosedError:
            pass
        except Exception:
            log.exception("work in the background ended")
