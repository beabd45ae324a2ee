"""The config service as a process, against a real broker."""

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path

import grpc
import nats
import pytest

from cli.ports import free_port
from servicekit.registry_view import RegistryView
from servicekit.subjects import work_stream
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
)
from sie.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
MINILM = "sentence-transformers/all-MiniLM-L6-v2"


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
                if seen[-1:] == [103]:
                    return seen
            return None

        watchers = [asyncio.create_task(follow()) for _ in range(200)]
        for priority in range(1, 101):
            bundle = Bundle(bundle_id=f"b{priority % 7}", priority=priority)
            await writes.ApplyBundle(ApplyBundleRequest(bundle=bundle))
        async with asyncio.timeout(60):
            for seen in await asyncio.gather(*watchers):
                assert seen == list(range(1, 104))
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
        await asyncio.to_thread(nats_server.stop)
        await service.readiness(503)
        assert (await service.get("/healthz"))[0] == 200
        await asyncio.to_thread(nats_server.start)
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
