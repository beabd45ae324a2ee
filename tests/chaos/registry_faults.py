"""Faults of the registry's readers and writers, while the cluster serves."""

import signal
import threading
import time
from contextlib import ExitStack

import grpc

from cli.ports import HOST, free_port
from sie.inference.v1.model_service_pb2 import InputType
from sie.registry.v1.model_pb2 import Model
from sie.registry.v1.registry_admin_service_pb2 import (
    ApplyModelRequest,
    DeleteModelRequest,
    ImportRegistryRequest,
)
from sie.registry.v1.registry_admin_service_pb2_grpc import RegistryAdminServiceStub
from sie.registry.v1.registry_document_pb2 import RegistryDocument
from sie.registry.v1.registry_service_pb2 import (
    GetModelRequest,
    GetRevisionRequest,
    WatchRegistryRequest,
)
from sie.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from tests.chaos.scene import SOME, Scene
from tests.waiting import until

_WATCHERS = 20
_MODELS = 100
_LARGE = 2000
# What the config service may grow by, however far its watchers fall behind: the history of so many
# models, which is bounded, and not what each of the watchers has yet to read.
_GROWTH_BYTES = 150 * 1024 * 1024


def model(name: str, size: int = 0) -> Model:
    """A definition that nobody asks for, of about `size` bytes."""
    found = Model(model_id=f"chaos/{name}", inputs=[InputType.INPUT_TYPE_TEXT])
    found.sources.add().directory = "/nowhere" + "/x" * (size // 2)
    found.tasks.encode.dense.dims = 8
    return found


def slow_watchers(scene: Scene) -> None:
    """Watchers that do not read while thousands of commits are made; then they read on."""
    stack = scene.stack
    before = _resident_bytes(stack.processes["config"].pid)
    with ExitStack() as open_channels:
        watches = []
        for number in range(_WATCHERS):
            channel = open_channels.enter_context(config_channel(stack.config_address, number))
            watch = RegistryServiceStub(channel).WatchRegistry(WatchRegistryRequest(), timeout=300)
            next(watch)
            watches.append(watch)
        admin = RegistryAdminServiceStub(
            open_channels.enter_context(config_channel(stack.config_address, _WATCHERS))
        )
        revision = _commit(admin, scene.commits)
        grown = _resident_bytes(stack.processes["config"].pid) - before
        assert grown < _GROWTH_BYTES, f"the config service grew by {grown >> 20} MiB"
        for watch in watches:
            _read_up_to(watch, revision)
        for number in range(_MODELS):
            name = _large(number, 0).model_id
            admin.DeleteModel(DeleteModelRequest(model_id=name, allow_missing=True), timeout=30)
    scene.load.wait_for_right(SOME)


def _commit(admin: RegistryAdminServiceStub, commits: int) -> int:
    """Makes so many commits, a hundred with each call; returns the last one's revision."""
    revision = 0
    for round_number in range(commits // _MODELS):
        document = RegistryDocument(models=[_large(n, round_number) for n in range(_MODELS)])
        reply = admin.ImportRegistry(ImportRegistryRequest(registry=document), timeout=60)
        assert len(reply.changes) == _MODELS, "a commit is missing"
        revision = reply.revision
    return revision


def _large(number: int, round_number: int) -> Model:
    found = model(f"large-{number}", _LARGE)
    found.max_sequence_length = 16 + round_number
    return found


def two_writers(scene: Scene) -> None:
    """A second config service writes while the first is frozen; the first must notice."""
    stack = scene.stack
    address = f"{HOST}:{free_port()}"
    second = stack.start_second_config(address)
    second.wait_ready(60)
    first = stack.processes["config"]
    try:
        with config_channel(stack.config_address, 0) as one, config_channel(address, 1) as two:
            old = RegistryServiceStub(one).GetRevision(GetRevisionRequest(), timeout=10).revision
            first.signal(signal.SIGSTOP)
            by_second = f"second-{time.time_ns()}"
            assert write_or_be_refused(two, by_second), "the second could not write"
            first.signal(signal.SIGCONT)
            stale = ApplyModelRequest(model=model("stale"), expected_revision=old)
            _refused(RegistryAdminServiceStub(one), stale)
            until(lambda: has(one, by_second), 20, "the other's commit")
            _both_write(one, two)
    finally:
        first.signal(signal.SIGCONT)
        stack.retire(second.name)
    scene.load.wait_for_right(SOME)


def _both_write(one: grpc.Channel, two: grpc.Channel) -> None:
    """Both write at once, each its own models; in the end both have everything."""
    revisions: list[int] = []

    def write(channel: grpc.Channel, name: str) -> None:
        admin = RegistryAdminServiceStub(channel)
        for number in range(10):
            wanted = model(f"{name}-{number}-{time.time_ns()}")
            revisions.append(_apply(admin, wanted))

    threads = [
        threading.Thread(target=write, args=pair) for pair in ((one, "first"), (two, "second"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(revisions)) == 20, "a commit is missing, or two have one revision"
    for channel in (one, two):
        stub = RegistryServiceStub(channel)
        until(lambda: stub.GetRevision(GetRevisionRequest()).revision >= max(revisions), 20)  # noqa: B023


def _apply(admin: RegistryAdminServiceStub, wanted: Model) -> int:
    """Applies a model, again as long as the other writer was faster."""
    for _ in range(50):
        try:
            return int(admin.ApplyModel(ApplyModelRequest(model=wanted), timeout=20).revision)
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED):
                raise
            time.sleep(0.05)
    raise AssertionError("fenced fifty times in a row")


def _refused(admin: RegistryAdminServiceStub, request: ApplyModelRequest) -> None:
    try:
        admin.ApplyModel(request, timeout=20)
    except grpc.RpcError as error:
        if error.code() not in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ABORTED):
            raise
    else:
        raise AssertionError("a stale writer wrote")


def write_or_be_refused(channel: grpc.Channel, name: str) -> bool:
    """Whether a model was written; if not, the refusal is one that may be retried."""
    try:
        RegistryAdminServiceStub(channel).ApplyModel(
            ApplyModelRequest(model=model(name)), timeout=20
        )
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
        return False
    return True


def has(channel: grpc.Channel, name: str) -> bool:
    """Whether the registry has a model that was written under this name."""
    try:
        wanted = GetModelRequest(model_id=model(name).model_id)
        RegistryServiceStub(channel).GetModel(wanted, timeout=10)
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        return False
    return True


def _read_up_to(watch: grpc.Call, revision: int) -> None:
    for update in watch:
        kind = update.WhichOneof("update")
        assert kind != "compacted", "a watcher was left behind"
        seen = {
            "snapshot": update.snapshot.revision,
            "event": update.event.revision,
            "progress": update.progress.revision,
            "events": max((each.revision for each in update.events.events), default=0),
        }[kind]
        if seen >= revision:
            return
    raise AssertionError("a watch ended")


def config_channel(address: str, number: int = 0) -> grpc.Channel:
    """A connection to a config service; each number has one of its own."""
    options = [
        ("grpc.max_receive_message_length", -1),
        # Each on a connection of its own.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.primary_user_agent", f"chaos/{number}"),
    ]
    return grpc.insecure_channel(address, options=options)


def _resident_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * 4096
