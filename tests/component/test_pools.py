"""Pools of the config service against a real broker, with workers that the tests play."""

import asyncio
import datetime as dt
import time

import nats
import pytest
from nats.js.errors import NotFoundError

from config_service import pool_streams
from config_service.commands import Apply
from config_service.metrics import Metrics
from config_service.pool_keeper import PoolKeeper
from config_service.pool_service import PoolService
from config_service.pool_streams import FINISH_WITHIN_S, PoolStreams
from config_service.registry import Registry
from config_service.store import RegistryStore
from config_service.streams import StreamLimits, Streams
from config_service.watch import WatchHub
from config_service.writer import RegistryWriter
from servicekit.errors import SieError, code_of
from servicekit.subjects import Lane, work_stream, work_subject, worker_status
from servicekit.workers import WorkerDirectory
from sie.pool.v1.pool_pb2 import PoolState
from sie.pool.v1.pool_service_pb2 import CreatePoolRequest, DeletePoolRequest, RenewPoolRequest
from sie.registry.v1.machine_profile_pb2 import MachineProfile
from sie.work.v1.work_item_pb2 import WorkItem
from sie.work.v1.work_result_pb2 import WorkResult
from sie.worker.v1.worker_status_pb2 import WorkerStatus
from worker.queue.consumer import consumer_config

LANE = Lane("tenant", "l4", "default")
ACTIVE = PoolState.POOL_STATE_ACTIVE


class ConfigService:
    """The parts of one process that have to do with pools, and a clock that is ours."""

    def __init__(self, client):
        self.ahead = 0.0
        self.client, self.js = client, client.jetstream()
        self.metrics, self.registry = Metrics(), Registry()
        self.writer = RegistryWriter(
            self.registry,
            RegistryStore(client, "memory", 1),
            WatchHub(self.registry),
            self.metrics,
            lambda: dt.datetime.now(dt.UTC),
        )
        self.workers = WorkerDirectory(self.clock)
        self.base = Streams(client, StreamLimits())
        self.streams = PoolStreams(client, self.base, self.clock)
        self.keeper = PoolKeeper(
            client,
            self.registry,
            self.writer,
            self.workers,
            self.streams,
            self.metrics,
            ["fixed"],
            self.clock,
        )
        self.api = PoolService(self.registry, self.writer, self.keeper, self.streams, self.metrics)

    async def start(self):
        await self.base.ensure()
        await self.writer.execute(Apply(MachineProfile(machine_profile_id="l4")))
        await self.workers.follow(self.client)

    def clock(self):
        return time.monotonic() + self.ahead

    async def create(self, name="tenant", gpus=None, **more):
        return await self.api.CreatePool(
            CreatePoolRequest(name=name, gpus=gpus or {"l4": 1}, **more), None
        )

    async def delete(self, name="tenant"):
        await self.api.DeletePool(DeletePoolRequest(name=name), None)

    def pool(self, name="tenant"):
        return self.registry.state.pools[name].status

    def beat(self, name, state="READY", **more):
        self.workers.update(
            WorkerStatus(
                worker_id=name,
                pool=more.pop("pool", "default"),
                machine_profile="l4",
                bundle="default",
                state=f"WORKER_STATE_{state}",
                **more,
            )
        )

    async def put_work(self, request_id="r1", reply=""):
        item = WorkItem(request_id=request_id, item_count=2, reply_subject=reply)
        await self.js.publish(work_subject(LANE, "m"), item.SerializeToString())

    async def queue(self, pool="tenant"):
        try:
            return (await self.js.stream_info(work_stream(pool))).state.messages
        except NotFoundError:
            return None


@pytest.fixture
async def service(nats_server):
    client = await nats.connect(nats_server.url)
    made = ConfigService(client)
    await made.start()
    yield made
    await client.close()


@pytest.fixture
async def other(nats_server, service):
    client = await nats.connect(nats_server.url)
    made = ConfigService(client)
    await made.start()
    yield made
    await client.close()


async def test_a_pool_has_its_queue_and_a_free_worker_at_once(service):
    service.beat("w1")
    created = await service.create()
    assert created.pool.status.state == ACTIVE
    assert await service.queue() == 0
    assert [worker.name for worker in service.pool().assigned_workers] == ["w1"]


async def test_a_worker_that_falls_silent_is_replaced_but_not_by_a_process_that_just_began(
    service, other
):
    service.beat("w1")
    await service.create()
    await service.keeper.round()
    await other.writer.catch_up()
    other.beat("w2")
    await other.keeper.round()
    assert [worker.name for worker in other.pool().assigned_workers] == ["w1"]
    for _ in range(8):
        service.ahead += 1.0
        service.beat("w2")
        await service.keeper.round()
    assert [worker.name for worker in service.pool().assigned_workers] == ["w2"]


async def test_a_process_that_was_stopped_for_a_while_takes_nobody_for_dead(service):
    service.beat("w1")
    await service.create()
    for _ in range(8):
        service.ahead += 1.0
        service.beat("w1")
        await service.keeper.round()
    service.ahead += 60.0
    service.beat("w2")
    await service.keeper.round()
    assert [worker.name for worker in service.pool().assigned_workers] == ["w1"]


async def test_renewals_are_coalesced_in_the_log_and_hold_the_lease(service):
    await service.create(ttl_seconds=100)
    await service.keeper.round()
    revision = service.registry.revision
    for second in range(300):
        service.ahead += 1.0
        await service.keeper.round()
        if second % 10 == 0:
            await service.api.RenewPool(RenewPoolRequest(name="tenant"), None)
    assert "tenant" in service.registry.state.pools
    assert service.registry.revision - revision <= 13
    for _ in range(130):
        service.ahead += 1.0
        await service.keeper.round()
    assert "tenant" not in service.registry.state.pools
    with pytest.raises(SieError, match="POOL_NOT_FOUND"):
        await service.api.RenewPool(RenewPoolRequest(name="tenant"), None)


async def test_a_lease_does_not_end_while_it_cannot_be_renewed(service):
    await service.create(ttl_seconds=100)
    await service.keeper.round()
    service.ahead += 500.0
    await service.keeper.round()
    assert "tenant" in service.registry.state.pools
    for _ in range(126):
        service.ahead += 1.0
        await service.keeper.round()
    assert "tenant" not in service.registry.state.pools


async def test_a_second_process_does_not_expire_what_the_first_renews(service, other):
    await service.create(ttl_seconds=100)
    for second in range(300):
        for each in (service, other):
            each.ahead += 1.0
            await each.writer.catch_up()
            await each.keeper.round()
        if second % 10 == 0:
            await service.api.RenewPool(RenewPoolRequest(name="tenant"), None)
    assert "tenant" in other.registry.state.pools


async def test_what_waits_in_a_deleted_pool_is_answered_and_its_queue_goes(service):
    answers = await service.client.subscribe("answers")
    await service.create()
    await service.put_work(reply="answers")
    await service.put_work("r2")
    await service.js.publish(work_subject(LANE, "m"), b"\xff")
    await service.delete()
    await service.keeper.round()
    result = WorkResult.FromString((await answers.next_msg(5)).data)
    assert (result.request_id, result.item_count) == ("r1", 2)
    assert code_of(result.error.reason) == "POOL_NOT_FOUND"
    assert await service.queue() is None
    await service.keeper.round()


async def test_a_long_queue_is_answered_over_several_rounds_and_each_caller_once(
    service, monkeypatch
):
    monkeypatch.setattr(pool_streams, "_ANSWERS_A_ROUND", 3)
    answers = await service.client.subscribe("answers")
    await service.create()
    for number in range(7):
        await service.put_work(f"r{number}", reply="answers")
    await service.delete()
    for _ in range(3):
        await service.keeper.round()
    assert await service.queue() is None
    told = [WorkResult.FromString((await answers.next_msg(5)).data).request_id for _ in range(7)]
    assert told == [f"r{number}" for number in range(7)]
    assert not answers.pending_msgs


async def test_what_a_worker_holds_of_a_deleted_pool_is_waited_for(service):
    await service.create()
    await service.put_work()
    config = consumer_config(LANE, "m")
    await service.js.add_consumer(work_stream("tenant"), config)
    pulled = await service.js.pull_subscribe_bind(config.durable_name, work_stream("tenant"))
    (held,) = await pulled.fetch(1, timeout=30)
    await service.delete()
    await service.keeper.round()
    assert await service.queue() == 1
    await held.ack_sync()
    await service.keeper.round()
    assert await service.queue() is None


async def test_a_worker_that_never_finishes_is_not_waited_for(service):
    answers = await service.client.subscribe("answers")
    await service.create()
    await service.put_work(reply="answers")
    config = consumer_config(LANE, "m")
    await service.js.add_consumer(work_stream("tenant"), config)
    pulled = await service.js.pull_subscribe_bind(config.durable_name, work_stream("tenant"))
    await pulled.fetch(1, timeout=30)
    await service.delete()
    await service.keeper.round()
    service.ahead += FINISH_WITHIN_S + 1
    await service.keeper.round()
    assert await service.queue() is None
    await answers.next_msg(5)


async def test_a_pool_made_again_at_once_keeps_the_work_that_waits(service):
    await service.create()
    await service.put_work()
    await service.delete()
    await service.create()
    await service.keeper.round()
    assert await service.queue() == 1


async def test_a_queue_whose_end_was_cut_off_is_ended_before_the_name_is_taken_again(service):
    answers = await service.client.subscribe("answers")
    await service.create()
    await service.put_work(reply="answers")
    await service.delete()
    config = (await service.js.stream_info(work_stream("tenant"))).config
    config.sealed = True
    await service.js.update_stream(config)
    await service.create()
    assert await service.queue() == 0
    await answers.next_msg(5)
    await service.put_work()


async def test_a_process_with_an_older_view_does_not_end_what_another_has_just_created(
    service, other
):
    await other.writer.catch_up()
    await service.create()
    await service.put_work()
    await other.keeper.round()
    assert await service.queue() == 1


async def test_a_pool_of_dedicated_workers_has_a_queue_without_a_lease(service):
    await service.keeper.round()
    assert await service.queue("fixed") == 0
    await service.keeper.round()
    assert await service.queue("fixed") == 0


async def test_a_heartbeat_makes_no_queue(service, caplog):
    forged = WorkerStatus(
        worker_id="w1",
        pool="forged",
        machine_profile="l4",
        bundle="default",
        state="WORKER_STATE_READY",
        dedicated=True,
    )
    await service.client.publish(worker_status("w1"), forged.SerializeToString())
    while not service.workers.live():
        await asyncio.sleep(0.01)
    await service.keeper.round()
    assert await service.queue("forged") is None
    assert "dedicated to an unknown pool" in caplog.text


async def test_two_processes_never_give_one_worker_away_twice(service, other):
    await asyncio.gather(*(service.create(name) for name in ("a", "b", "c")))
    for each in (service, other):
        each.beat("w1")
        each.beat("w2")

    refusals = set()

    async def insist(process):
        for _ in range(20):
            try:
                await process.writer.catch_up()
                await process.keeper.round()
            except SieError as error:
                refusals.add(code_of(error.reason))

    await asyncio.gather(insist(service), insist(other))
    assert refusals <= {"FENCED", "REVISION_CONFLICT"}
    await service.writer.catch_up()
    held = [
        worker.name
        for pool in service.registry.state.pools.values()
        for worker in pool.status.assigned_workers
    ]
    assert sorted(held) == ["w1", "w2"]


async def test_a_broker_that_has_no_room_refuses_the_pool_and_says_so(service):
    greedy = Streams(service.client, StreamLimits(max_bytes=2**50))
    service.api = PoolService(
        service.registry,
        service.writer,
        service.keeper,
        PoolStreams(service.client, greedy, service.clock),
        service.metrics,
    )
    with pytest.raises(SieError, match="insufficient") as caught:
        await service.create()
    assert code_of(caught.value.reason) == "QUEUE_UNAVAILABLE"
    assert not service.registry.state.pools


async def test_a_leaving_worker_is_replaced_while_it_finishes(service):
    service.beat("w1")
    service.beat("w2")
    await service.create()
    await service.keeper.round()
    service.beat("w1", state="DRAINING")
    await service.keeper.round()
    assert [worker.name for worker in service.pool().assigned_workers] == ["w2"]
