"""The blocking client."""

import functools
import logging
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
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
from sie_sdk._http.transport import HttpTransport
from sie_sdk.errors import ClientClosedError
from sie_sdk.types import PoolInfo

log = logging.getLogger("sie_sdk")

P = ParamSpec("P")
T = TypeVar("T")

_JOIN_S = 5.0


class Transport(Protocol):
    """Sends calls, from many threads at a time."""

    def send(self, call: Call, timeout_s: float) -> Reply | Failure: ...
    def close(self) -> None: ...


def _blocking(
    operation: Callable[Concatenate[Operations, P], Plan[T]],
) -> "Callable[Concatenate[SIEClient, P], T]":
    @functools.wraps(operation)
    def method(self: "SIEClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(operation(self._operations, *args, **kwargs))

    return method


def _iterating(
    operation: Callable[Concatenate[Operations, P], Parts[T]],
) -> "Callable[Concatenate[SIEClient, P], Generator[T, None, None]]":
    @functools.wraps(operation)
    def method(self: "SIEClient", /, *args: P.args, **kwargs: P.kwargs) -> Generator[T, None, None]:
        return self._flat(operation(self._operations, *args, **kwargs))

    return method


class SIEClient(ClientBase[Transport]):
    """Blocks until a call is done; may be shared by threads.

    `close`, or leaving the `with` block, ends the renewal of leases and every call that waits.
    """

    encode = _blocking(Operations.encode)
    encode_iter = _iterating(Operations.encode_iter)
    score = _blocking(Operations.score)
    extract = _blocking(Operations.extract)
    list_models = _blocking(Operations.list_models)
    get_model = _blocking(Operations.get_model)
    get_capacity = _blocking(Operations.get_capacity)
    wait_for_capacity = _blocking(Operations.wait_for_capacity)
    create_pool = _blocking(Operations.create_pool)
    get_pool = _blocking(Operations.get_pool)
    list_pools = _blocking(Operations.list_pools)
    delete_pool = _blocking(Operations.delete_pool)
    create_batch = _blocking(Operations.create_batch)
    get_batch = _blocking(Operations.get_batch)
    list_batches = _blocking(Operations.list_batches)
    cancel_batch = _blocking(Operations.cancel_batch)
    delete_batch = _blocking(Operations.delete_batch)
    wait_for_batch = _blocking(Operations.wait_for_batch)
    batch_results = _iterating(Operations.batch_results)
    batch_errors = _iterating(Operations.batch_errors)
    read_file = _iterating(Operations.read_file)
    upload_file = _blocking(Operations.upload_file)
    delete_file = _blocking(Operations.delete_file)

    @contextmanager
    def pool(self, name: str, gpus: Mapping[str, int], **how: Any) -> Iterator[PoolInfo]:
        """A pool for the length of a `with` block; takes what `create_pool` takes."""
        made = self.create_pool(name, gpus, **how)
        try:
            yield made
        finally:
            self.delete_pool(name)

    def watch(self, *, reconnect: bool = True) -> Iterator[Mapping[str, Any]]:
        """The cluster, a frame each second: `timestamp`, `cluster`, `workers`, `models`.

        Raises:
            RequestError: the gateway refuses.
            SIEConnectionError: it was lost, and `reconnect` is false.
            ImportError: websockets is not installed.
        """
        watch = Watch(self._settings, reconnects=reconnect)
        websockets = needed("websockets.sync.client", "watch")
        lost = (OSError, TimeoutError, needed("websockets.exceptions", "watch").WebSocketException)
        while True:
            try:
                with websockets.connect(
                    watch.url,
                    additional_headers=watch.headers,
                    ssl=context_of(self._settings.tls),
                ) as socket:
                    while True:
                        yield watch.frame(socket.recv(timeout=SILENCE_S))
            except lost as error:
                self._sleep(watch.lost(error), self._closed)

    def close(self) -> None:
        """Ends what runs in the background, and the connections. Pools stay until their term."""
        for stop in [self._closed, *self._stops]:
            stop.set()
        # A request of a bulk call that was given up may still be opening its connection.
        wait(list(self._parts), _JOIN_S)
        for thread in list(self._threads):
            thread.join(_JOIN_S)
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self, settings: Settings) -> Transport:
        self._closed = threading.Event()
        self._threads: set[threading.Thread] = set()
        # Parts of bulk calls until they are done, and what ends those of each call.
        self._parts: set[Future[Any]] = set()
        self._stops: set[threading.Event] = set()
        if settings.is_grpc:
            return needed("sie_sdk._grpc.transport", "grpc").GrpcTransport(settings)  # type: ignore[no-any-return]
        return HttpTransport(settings)

    def _run(self, plan: Plan[T], stop: threading.Event | None = None) -> T:
        """Runs a plan; once `stop` is set, it neither waits nor sends any more."""
        stop = stop or self._closed
        answer: Any = None
        try:
            while True:
                answer = self._do(plan.send(answer), stop)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        finally:
            plan.close()

    def _do(self, command: Command, stop: threading.Event) -> Any:
        match command:
            case Send(call, timeout_s):
                return self._send(call, timeout_s, stop)
            case Sleep(seconds):
                self._sleep(seconds, stop)
            case Together(plans, in_flight):
                return list(self._each(iter(plans), in_flight))
            case Begin(plan):
                self._begin(plan)
        return None

    def _send(self, call: Call, timeout_s: float, stop: threading.Event) -> Reply | Failure:
        _check(stop)
        try:
            outcome = self._transport.send(call, timeout_s)
        except (RuntimeError, ValueError):
            # What libraries raise when their connection is closed under them.
            _check(stop)
            raise
        if isinstance(outcome, Reply):
            self._saw(outcome.headers)
        else:
            _check(stop)
        return outcome

    def _sleep(self, seconds: float, stop: threading.Event) -> None:
        stop.wait(seconds)
        _check(stop)

    def _flat(self, parts: Parts[T]) -> Generator[T, None, None]:
        with closing(self._each(parts.plans, parts.in_flight)) as each:
            for part in each:
                yield from part

    def _each(self, plans: Iterator[Plan[T]], in_flight: int) -> Generator[T, None, None]:
        """Results in the order of the plans, of which `in_flight` run or wait to be taken."""
        running: deque[Future[T]] = deque()
        threads = ThreadPoolExecutor(in_flight, thread_name_prefix="sie-sdk")
        stop = threading.Event()
        self._stops.add(stop)
        try:
            _check(self._closed)
            for plan in plans:
                running.append(self._submit(threads, plan, stop))
                if len(running) >= in_flight:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            # Whoever stops early does not wait for what is under way, nor does that go on.
            stop.set()
            self._stops.discard(stop)
            threads.shutdown(wait=False, cancel_futures=True)

    def _submit(
        self, threads: ThreadPoolExecutor, plan: Plan[T], stop: threading.Event
    ) -> Future[T]:
        part = threads.submit(self._run, plan, stop)
        self._parts.add(part)
        part.add_done_callback(self._parts.discard)
        return part

    def _begin(self, plan: Plan[None]) -> None:
        thread = threading.Thread(
            target=self._run_beside, args=(plan,), name="sie-sdk", daemon=True
        )
        self._threads.add(thread)
        thread.start()

    def _run_beside(self, plan: Plan[None]) -> None:
        try:
            self._run(plan)
        except ClientClosedError:
            pass
        except Exception:
            log.exception("work in the background ended")
        finally:
            self._threads.discard(threading.current_thread())


def _check(stop: threading.Event) -> None:
    if stop.is_set():
        raise ClientClosedError("the client is closed")
