"""The config service against a real broker."""

import asyncio
import datetime as dt
import os
import shutil
import signal
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import grpc
import nats
import pytest
from nats.js import api

from cli.ports import free_port
from config_service import store
from config_service.commands import Apply, Delete, Import, Rollback
from config_service.dead_letters import DeadLetters
from config_service.history import KEPT
from config_service.metrics import Metrics
from config_service.receipts import Identity, Receipts
from config_service.registry import Registry
from config_service.store import RegistryStore
from config_service.streams import StreamLimits, Streams
from config_service.watch import WatchHub
from config_service.writer import Outcome, RegistryWriter
from servicekit import broker
from servicekit.errors import SieError, code_of
from servicekit.registry_state import Key
from servicekit.registry_view import RegistryView
from servicekit.subjects import DEAD_LETTERS_STREAM, Lane, work_stream, work_subject
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.registry.v1.bundle_pb2 import Bundle
from sie.registry.v1.model_pb2 import Model
from sie.registry.v1.registry_admin_service_pb2 import (
    ApplyBundleRequest,
    ApplyModelRequest,
    DeleteModelRequest,
)
from sie.registry.v1.registry_admin_service_pb2_grpc import RegistryAdminServiceStub
from sie.registry.v1.registry_service_pb2 import (
    GetModelRequest,
    ListBundlesRequest,
    ListModelsRequest,
    WatchRegistryRequest,
    WatchRegistryResponse,
)
from sie.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from sie.work.v1.work_item_pb2 import WorkItem
from sie.work.v1.work_result_pb2 import WorkResult
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
NATS_SERVER = Path(sys.executable).parent / "nats-server"
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
LANE = Lane("default", "cpu", "default")


async def accepts(port):
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                await writer.wait_closed()
                return


class Broker:
    """A nats-server of our own, ended by its pid."""

    def __init__(self, store_dir):
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._store_dir = store_dir
        self._process = None

    async def start(self):
        arguments = ["-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self._store_dir)]
        self._process = await asyncio.create_subprocess_exec(
            NATS_SERVER, *arguments, stderr=asyncio.subprocess.DEVNULL
        )
        await accepts(self.port)

    async def stop(self):
        if self._process is not None:
            self._process.terminate()
            await self._process.wait()
            self._process = None

    async def restart(self):
        await self.stop()
        await self.start()


@pytest.fixture
async def nats_server(tmp_path):
    server = Broker(tmp_path / "jetstream")
    await server.start()
    yield server
    await server.stop()


class Writer:
    """One config process as far as the registry goes."""

    def __init__(self, client, storage="memory"):
        self.client = client
        self.registry = Registry()
        self.hub = WatchHub(self.registry)
        self.metrics = Metrics()
        self.writer = RegistryWriter(
            self.registry,
            RegistryStore(client, storage, 1),
            self.hub,
            self.metrics,
            lambda: dt.datetime.now(dt.UTC),
        )

    async def apply(self, bundle_id, priority=1):
        return await self.writer.execute(Apply(Bundle(bundle_id=bundle_id, priority=priority)))

    @property
    def contents(self):
        return self.registry.state.to_snapshot()

    @contextmanager
    def not_looking(self):
        """Others write just behind its look at the store."""

        async def moved():
            return False

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.writer._store, "moved", moved)
            yield

    @contextmanager
    def appending(self, append):
        """Its store appends in another way."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.writer._store, "append", append)
            yield


@pytest.fixture
async def new_writer(nats_server):
    clients = []

    async def make(storage="memory"):
        clients.append(await broker.connect(nats_server.url, "test"))
        writer = Writer(clients[-1], storage)
        await writer.writer.catch_up()
        return writer

    yield make
    for client in clients:
        await client.close()


async def test_a_restart_rebuilds_the_exact_state_revision_and_history(nats_server, new_writer):
    first = await new_writer("file")
    for index in range(5):
        await first.apply(f"b{index % 2}", priority=index + 1)
    await first.client.close()
    await nats_server.restart()
    second = await new_writer("file")
    assert second.contents == first.contents
    assert second.registry.events_since(1) == first.registry.events_since(1)


async def test_of_two_writers_that_meet_the_loser_is_fenced_and_then_catches_up(new_writer):
    ahead, behind = await new_writer(), await new_writer()
    await ahead.apply("a")
    with behind.not_looking(), pytest.raises(SieError) as caught:
        await behind.apply("b")
    assert code_of(caught.value.reason) == "FENCED"
    assert behind.registry.revision == 0
    assert (await behind.apply("b")).revision == 2
    assert set(behind.registry.state.bundles) == {"a", "b"}
    await ahead.writer.catch_up()
    assert ahead.contents == behind.contents


async def test_writers_that_race_lose_nothing_and_skip_nothing(new_writer):
    writers = [await new_writer() for _ in range(3)]

    async def insist(writer, name):
        while True:
            try:
                return (await writer.apply(name)).revision
            except SieError as error:
                assert error.reason == ErrorReason.ERROR_REASON_FENCED  # noqa: PT017

    names = [(writer, f"b{i}-{j}") for i, writer in enumerate(writers) for j in range(10)]
    revisions = await asyncio.gather(*(insist(writer, name) for writer, name in names))
    assert sorted(revisions) == list(range(1, 31))
    for writer in writers:
        await writer.writer.catch_up()
        assert writer.contents == writers[0].contents
        assert len(writer.registry.state.bundles) == 30


async def test_a_stale_writer_is_fenced_even_when_its_next_revision_was_forgotten(new_writer):
    stale, ahead = await new_writer(), await new_writer()
    for index in range(70):
        await ahead.apply("hot", priority=index + 1)
    with stale.not_looking(), pytest.raises(SieError, match="FENCED"):
        await stale.apply("x")
    await stale.writer.catch_up()
    assert stale.contents == ahead.contents
    # Of 70 events of one key the store kept 64.
    assert stale.registry.oldest_revision == 7


@pytest.mark.parametrize(
    "end",
    [
        SieError(ErrorReason.ERROR_REASON_REGISTRY_UNAVAILABLE, "no answer"),
        asyncio.CancelledError(),
    ],
)
async def test_a_commit_whose_caller_never_learned_of_it_is_found_again(new_writer, end):
    writer, other = await new_writer(), await new_writer()
    append = writer.writer._store.append

    async def append_and_end(event):
        await append(event)
        raise end

    with writer.appending(append_and_end), pytest.raises(type(end)):
        await writer.apply("a")
    assert not (await writer.apply("a")).changed
    assert writer.registry.revision == 1
    await other.writer.catch_up()
    assert other.contents == writer.contents


async def test_a_write_without_a_broker_fails_at_once_and_later_succeeds(nats_server, new_writer):
    writer = await new_writer("file")
    await writer.apply("a")
    await nats_server.stop()
    async with asyncio.timeout(60):
        with pytest.raises(SieError, match="REGISTRY_UNAVAILABLE"):
            await writer.apply("b")
    await nats_server.start()
    await eventually(lambda: writer.client.is_connected)
    assert (await writer.apply("b")).revision == 2


async def test_a_memory_broker_that_restarted_is_given_the_registry_again(nats_server, new_writer):
    writer = await new_writer()
    for name in ("a", "b", "c", "a"):
        await writer.apply(name, priority=writer.registry.revision + 1)
    await nats_server.restart()
    await eventually(lambda: writer.client.is_connected)
    await writer.writer.catch_up()
    assert (await writer.apply("d")).revision == 5
    after = await new_writer()
    assert after.contents == writer.contents


async def test_a_rewrite_that_broke_off_is_gone_on_with(nats_server, new_writer):
    writer = await new_writer()
    for name in ("a", "b", "c"):
        await writer.apply(name)
    await nats_server.restart()
    await eventually(lambda: writer.client.is_connected)
    append = writer.writer._store.append

    async def append_one(event):
        if event.revision > 1:
            raise SieError(ErrorReason.ERROR_REASON_REGISTRY_UNAVAILABLE, "away again")
        await append(event)

    with writer.appending(append_one), pytest.raises(SieError, match="away again"):
        await writer.writer.catch_up()
    await writer.writer.catch_up()
    after = await new_writer()
    assert after.contents == writer.contents
    assert after.registry.revision == 3


async def test_when_histories_differ_the_store_wins_and_watchers_are_told(nats_server, new_writer):
    loser = await new_writer()
    for name in ("a", "b", "c"):
        await loser.apply(name)
    watch = loser.hub.watch(3)
    assert WatchRegistryResponse.FromString(await anext(watch)).event.revision == 3
    await nats_server.restart()
    winner = await new_writer()
    await winner.apply("other")
    await eventually(lambda: loser.client.is_connected)
    await loser.writer.catch_up()
    assert loser.contents == winner.contents
    assert WatchRegistryResponse.FromString(await anext(watch)).snapshot.revision == 1


async def test_a_bucket_made_again_is_told_from_the_old_one_of_the_same_length(
    nats_server, new_writer
):
    loser = await new_writer()
    await loser.apply("a")
    await nats_server.restart()
    winner = await new_writer()
    await winner.apply("other")
    await eventually(lambda: loser.client.is_connected)
    assert (await loser.apply("b")).revision == 2
    assert set(loser.registry.state.bundles) == {"other", "b"}


def identity(key, request="request"):
    return Identity(key.encode(), request.encode())


async def test_a_key_answers_the_same_after_a_restart_whatever_came_between(
    nats_server, new_writer
):
    first, command = await new_writer("file"), Apply(Bundle(bundle_id="a", priority=1))
    done = await first.writer.execute(command, identity("k"))
    nothing = await first.writer.execute(command, identity("nothing to do"))
    await first.writer.execute(Delete(Key("bundle", "a")))
    await nats_server.restart()
    second = await new_writer("file")
    assert await second.writer.execute(command, identity("k")) == done == Outcome(1, 1)
    assert await second.writer.execute(command, identity("nothing to do")) == nothing
    assert not second.registry.state.bundles
    with pytest.raises(SieError, match="IDEMPOTENCY_CONFLICT"):
        await second.writer.execute(command, identity("k", "another request"))


async def test_a_key_outlives_its_commit_in_the_store(nats_server, new_writer):
    first, command = await new_writer("file"), Apply(Bundle(bundle_id="a", priority=1))
    done = await first.writer.execute(command, identity("k"))
    for number in range(KEPT + 1):
        await first.apply("a", 2 + number)
    await nats_server.restart()
    second = await new_writer("file")
    assert min(event.revision for event in second.registry.history) > done.revision
    assert await second.writer.execute(command, identity("k")) == done
    assert second.registry.state.bundles["a"].priority == KEPT + 2


async def test_a_memory_broker_that_restarted_is_given_history_and_receipts(
    nats_server, new_writer
):
    writer = await new_writer()
    for priority in (1, 2, 3):
        await writer.apply("a", priority)
    command = Apply(Bundle(bundle_id="a", priority=3))
    nothing = await writer.writer.execute(command, identity("k"))
    await nats_server.restart()
    await eventually(lambda: writer.client.is_connected)
    await writer.writer.catch_up()
    after = await new_writer()
    assert list(after.registry.history) == list(writer.registry.history)
    assert await after.writer.execute(command, identity("k")) == nothing
    await after.writer.execute(Rollback(1))
    assert after.registry.state.bundles["a"].priority == 1


async def test_a_reading_that_ends_too_soon_is_not_taken_for_an_empty_registry(
    new_writer, monkeypatch
):
    first = await new_writer()
    await first.apply("a")
    read, cut = store._entries, [[], []]

    async def entries(bucket):
        return cut.pop() if cut else await read(bucket)

    monkeypatch.setattr(store, "_entries", entries)
    second = await new_writer()
    assert second.contents == first.contents
    assert not cut


async def test_old_receipts_leave_the_store(new_writer):
    writer, command = await new_writer(), Apply(Bundle(bundle_id="a"))
    await writer.writer.execute(command)
    writer.registry.receipts = Receipts(most=3)
    for number in range(6):
        await writer.writer.execute(command, identity(f"k{number}"))
    kept = await writer.writer._store.load()
    assert [receipt.key_sha256 for receipt in kept.receipts] == [b"k3", b"k4", b"k5"]


async def test_an_import_that_broke_off_is_finished_by_the_same_call(new_writer):
    writer = await new_writer()
    bundles = {f"d[{i}]": Bundle(bundle_id=f"b{i}") for i in range(5)}
    append = writer.writer._store.append

    async def append_three(event):
        if event.revision > 3:
            raise SieError(ErrorReason.ERROR_REASON_REGISTRY_UNAVAILABLE, "away")
        await append(event)

    with writer.appending(append_three), pytest.raises(SieError, match="away"):
        await writer.writer.execute(Import(bundles), identity("k"))
    assert len(writer.registry.state.bundles) == 3
    assert await writer.writer.execute(Import(bundles), identity("k")) == Outcome(4, 5)
    assert await writer.writer.execute(Import(bundles), identity("k")) == Outcome(4, 5)


async def test_streams_are_made_once_updated_and_made_again_after_a_loss(nats_server):
    client = await broker.connect(nats_server.url, "test")
    js = client.jetstream()
    await Streams(client, StreamLimits(max_messages=10)).ensure()
    await Streams(client, StreamLimits(max_messages=20)).ensure()
    config = (await js.stream_info(work_stream("default"))).config
    assert config.max_msgs == 20
    assert config.retention == api.RetentionPolicy.WORK_QUEUE
    assert config.discard == api.DiscardPolicy.NEW
    await nats_server.restart()
    await eventually(lambda: client.is_connected)
    await Streams(client, StreamLimits(max_messages=20)).ensure()
    assert (await js.stream_info(DEAD_LETTERS_STREAM)).config.max_msgs == 20
    await client.close()


async def test_a_full_work_queue_refuses_new_work(nats_server):
    client = await broker.connect(nats_server.url, "test")
    await Streams(client, StreamLimits(max_messages=1)).ensure()
    js = client.jetstream()
    await js.publish(work_subject(LANE, "m"), b"")
    with pytest.raises(nats.js.errors.APIError, match="maximum messages exceeded"):
        await js.publish(work_subject(LANE, "m"), b"")
    await client.close()


@asynccontextmanager
async def dead_letters(client, metrics):
    task = asyncio.create_task(DeadLetters(client, metrics.dead_letters).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def exhaust(js, data):
    """Publishes work and lets its two deliveries fail."""
    subject, stream = work_subject(LANE, "org/model"), work_stream("default")
    config = api.ConsumerConfig(
        durable_name="lane", max_deliver=2, ack_wait=0.2, filter_subject=subject
    )
    await js.add_consumer(stream, config)
    await js.publish(subject, data)
    consumer = await js.pull_subscribe_bind(consumer="lane", stream=stream)
    for _ in range(2):
        [message] = await consumer.fetch(1, timeout=5)
        await message.nak()
    # The broker notices on the next request.
    with pytest.raises(nats.errors.TimeoutError):
        await consumer.fetch(1, timeout=0.5)
    await consumer.unsubscribe()


@pytest.mark.parametrize("listening_first", [True, False])
async def test_exhausted_work_becomes_a_dead_letter_and_its_caller_is_told(
    nats_server, listening_first
):
    client, metrics = await broker.connect(nats_server.url, "test"), Metrics()
    js = client.jetstream()
    await Streams(client, StreamLimits()).ensure()
    replies = await client.subscribe("sie.reply.g1.t")
    item = WorkItem(request_id="r1", first_item=4, item_count=2, reply_subject="sie.reply.g1.t")
    data = item.SerializeToString()
    if listening_first:
        async with dead_letters(client, metrics):
            await exhaust(js, data)
            reply = await replies.next_msg(timeout=5)
    else:
        # The config service was away when the broker spoke.
        await exhaust(js, data)
        async with dead_letters(client, metrics):
            reply = await replies.next_msg(timeout=5)
            await asyncio.sleep(0.2)
    result = WorkResult.FromString(reply.data)
    assert (result.request_id, result.first_item, result.item_count) == ("r1", 4, 2)
    assert code_of(result.error.reason) == "DELIVERY_EXHAUSTED"
    assert result.error.metadata["attempts"] == "2"
    letter = await js.get_msg(DEAD_LETTERS_STREAM, 1)
    assert letter.data == data
    assert letter.subject == "sie.dead.default.cpu.default.org_2fmodel.interactive"
    assert letter.headers["Sie-Reason"] == "DELIVERY_EXHAUSTED"
    assert letter.headers["Sie-Deliveries"] == "2"
    assert letter.headers["Sie-Stream"] == "SIE_WORK_default"
    assert letter.headers["Sie-Consumer"] == "lane"
    assert (await js.stream_info(work_stream("default"))).state.messages == 0
    assert metrics.dead_letters.labels(pool="default")._value.get() == 1
    await client.close()


async def test_an_advisory_that_cannot_be_read_holds_up_nobody(nats_server):
    client, metrics = await broker.connect(nats_server.url, "test"), Metrics()
    js = client.jetstream()
    await Streams(client, StreamLimits()).ensure()
    for data in (b"nonsense", b"{}", b"[]"):
        advisory = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.SIE_WORK_default.lane"
        await client.publish(advisory, data)
    await exhaust(js, b"")
    async with dead_letters(client, metrics):
        await eventually(lambda: metrics.dead_letters.labels(pool="default")._value.get() == 1)
    await client.close()


async def test_dead_letters_survive_a_broker_that_lost_its_memory(nats_server):
    client, metrics = await broker.connect(nats_server.url, "test"), Metrics()
    js = client.jetstream()
    await Streams(client, StreamLimits()).ensure()
    async with dead_letters(client, metrics):
        await asyncio.sleep(0.2)
        await nats_server.restart()
        await eventually(lambda: client.is_connected)
        await Streams(client, StreamLimits()).ensure()
        await exhaust(js, b"\xff no work item")
        await eventually(lambda: metrics.dead_letters.labels(pool="default")._value.get() == 1)
    assert (await js.get_msg(DEAD_LETTERS_STREAM, 1)).data == b"\xff no work item"
    await client.close()


class Service:
    """The real process."""

    def __init__(self, nats_url, models_dir):
        self.grpc_port, self.http_port = free_port(), free_port()
        self.address = f"127.0.0.1:{self.grpc_port}"
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}",
            "SIE_NATS_URL": nats_url,
            "SIE_MODELS_DIR": str(models_dir),
            "SIE_CONFIG_GRPC_PORT": str(self.grpc_port),
            "SIE_CONFIG_HTTP_PORT": str(self.http_port),
        }
        self._process = None

    async def start(self, **environment):
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "config_service"),
            env={**self._environment, **environment},
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
        )

    async def ready(self):
        await accepts(self.http_port)
        await self.readiness(200)

    async def readiness(self, status):
        """Returns when `/readyz` answers so."""
        async with asyncio.timeout(60):
            while (await self.get("/readyz"))[0] != status:
                await asyncio.sleep(0.05)

    async def get(self, path):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.http_port)
        writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
        reply = await reader.read()
        writer.close()
        await writer.wait_closed()
        return int(reply.split()[1]), reply.decode()

    async def stop(self, number=signal.SIGTERM):
        """Exit status and log."""
        self._process.send_signal(number)
        return await self.ended()

    async def ended(self):
        async with asyncio.timeout(60):
            _, output = await self._process.communicate()
        return self._process.returncode, output.decode()


@pytest.fixture
def one_model(tmp_path):
    """A folder with the definition of one model."""
    shutil.copy(ROOT / "models" / "all-minilm-l6-v2.yaml", tmp_path)
    return tmp_path


@pytest.fixture
async def service(nats_server, one_model):
    process = Service(nats_server.url, one_model)
    await process.start()
    await process.ready()
    yield process
    if process._process.returncode is None:
        await process.stop(signal.SIGKILL)


async def test_the_process_seeds_serves_reports_and_stops(service):
    async with grpc.aio.insecure_channel(service.address) as channel:
        reads = RegistryServiceStub(channel)
        found = await reads.GetModel(GetModelRequest(model_id=MINILM))
        assert found.model.tasks.encode.dense.dims == 384
        assert found.revision == 3
        bundles = await reads.ListBundles(ListBundlesRequest())
        assert [bundle.bundle_id for bundle in bundles.bundles] == ["default"]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await reads.GetModel(GetModelRequest(model_id="none"))
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    status, text = await service.get("/metrics")
    assert status == 200
    assert "sie_config_revision 3.0" in text
    assert 'sie_config_store_writes_total{result="committed"} 3.0' in text
    status, output = await service.stop()
    assert status == 0
    assert output.count("config service ready") == 1


async def test_models_are_written_listed_in_pages_and_deleted(service):
    async with grpc.aio.insecure_channel(service.address) as channel:
        reads, writes = RegistryServiceStub(channel), RegistryAdminServiceStub(channel)
        model = (await reads.GetModel(GetModelRequest(model_id=MINILM))).model
        for name in ("a", "b", "c"):
            model.model_id = name
            assert (await writes.ApplyModel(ApplyModelRequest(model=model))).changed
        dry = await writes.ApplyModel(ApplyModelRequest(model=model, dry_run=True))
        assert (dry.revision, dry.changed) == (6, False)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await writes.ApplyModel(ApplyModelRequest(model=model, expected_revision=1))
        assert caught.value.code() == grpc.StatusCode.ABORTED
        deleted = await writes.DeleteModel(DeleteModelRequest(model_id="b"))
        assert deleted.revision == 7
        names, token = [], ""
        while True:
            request = ListModelsRequest(page_size=1, page_token=token)
            page = await reads.ListModels(request)
            names += [found.model_id for found in page.models]
            if not (token := page.next_page_token):
                break
        assert names == ["a", "c", MINILM]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await reads.ListModels(ListModelsRequest(page_token="!"))
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_hundreds_of_watchers_see_each_commit_once_and_a_stalled_one_holds_up_nobody(service):
    async with grpc.aio.insecure_channel(service.address) as channel:
        reads, writes = RegistryServiceStub(channel), RegistryAdminServiceStub(channel)
        stalled = reads.WatchRegistry(WatchRegistryRequest())
        await stalled.read()

        async def follow():
            seen = []
            async for response in reads.WatchRegistry(WatchRegistryRequest(from_revision=1)):
                events = [response.event] if response.HasField("event") else response.events.events
                seen += [event.revision for event in events]
                if seen[-1:] == [203]:
                    return seen
            return None

        watchers = [asyncio.create_task(follow()) for _ in range(300)]
        for priority in range(1, 201):
            bundle = Bundle(bundle_id=f"b{priority % 7}", priority=priority)
            await writes.ApplyBundle(ApplyBundleRequest(bundle=bundle))
        async with asyncio.timeout(60):
            for seen in await asyncio.gather(*watchers):
                assert seen == list(range(1, 204))
        stalled.cancel()


async def test_a_process_killed_while_it_writes_keeps_what_it_has_acknowledged(service):
    acknowledged = {}

    async def write_until_killed():
        async with grpc.aio.insecure_channel(service.address) as channel:
            writes = RegistryAdminServiceStub(channel)
            for priority in range(1, 100_000):
                bundle = Bundle(bundle_id=f"b{priority % 50}", priority=priority)
                reply = await writes.ApplyBundle(ApplyBundleRequest(bundle=bundle))
                acknowledged[bundle.bundle_id] = (reply.revision, priority)

    writing = asyncio.create_task(write_until_killed())
    await eventually(lambda: len(acknowledged) == 50)
    await service.stop(signal.SIGKILL)
    with pytest.raises(grpc.aio.AioRpcError):
        await writing
    await service.start()
    await service.ready()
    async with grpc.aio.insecure_channel(service.address) as channel:
        # The channel shares the pause after the killed process with the one above.
        reads = RegistryServiceStub(channel)
        listed = await reads.ListBundles(ListBundlesRequest(), wait_for_ready=True)
    newest = max(revision for revision, _ in acknowledged.values())
    # One write may have been stored whose reply did not get out.
    assert listed.revision in (newest, newest + 1)
    found = {bundle.bundle_id: bundle.priority for bundle in listed.bundles}
    lost = [name for name, (_, priority) in acknowledged.items() if found[name] < priority]
    assert not lost


async def test_a_deleted_seed_stays_deleted_after_a_restart(service):
    async with grpc.aio.insecure_channel(service.address) as channel:
        request = DeleteModelRequest(model_id=MINILM)
        await RegistryAdminServiceStub(channel).DeleteModel(request)
    await service.stop()
    await service.start()
    await service.ready()
    async with grpc.aio.insecure_channel(service.address) as channel:
        listed = await RegistryServiceStub(channel).ListModels(ListModelsRequest())
        assert not listed.models
        assert listed.revision == 4


async def test_the_process_outlives_a_memory_broker_and_views_notice_nothing(
    service, nats_server, tmp_path
):
    async with RegistryView(service.address, tmp_path, "test") as view:
        await asyncio.wait_for(view.loaded(), 60)
        await nats_server.stop()
        await service.readiness(503)
        assert (await service.get("/healthz"))[0] == 200
        await nats_server.start()
        await service.ready()
        client = await nats.connect(nats_server.url)
        assert (await client.jetstream().stream_info(work_stream("default"))).config
        await client.close()
        async with grpc.aio.insecure_channel(service.address) as channel:
            model = Model()
            model.CopyFrom(view.models[MINILM])
            model.max_sequence_length = 99
            writes = RegistryAdminServiceStub(channel)
            assert (await writes.ApplyModel(ApplyModelRequest(model=model))).revision == 4
        await eventually(lambda: view.revision == 4)
        assert view.models[MINILM].max_sequence_length == 99


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({"SIE_STREAM_STORAGE": "disk"}, "memory or file"),
        ({"SIE_STREAM_REPLICAS": "many"}, "SIE_STREAM_REPLICAS"),
        ({"SIE_MODELS_DIR": "/nowhere"}, "/nowhere"),
    ],
)
async def test_a_wrong_setting_ends_the_process_and_says_which(environment, text, one_model):
    process = Service("nats://127.0.0.1:1", one_model)
    await process.start(**environment)
    status, output = await process.ended()
    assert status == 1
    assert text in output
    assert "Traceback" not in output
