"""Any sequence of commands, rollbacks and faults, by two writers, before watchers that come and go.

Hypothesis prints the steps of a failure, and `@seed` or its example database replays them.
"""

import asyncio
import contextlib
import datetime as dt
import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from config_service.commands import Apply, Delete, Import, Rollback
from config_service.metrics import Metrics
from config_service.receipts import Identity
from config_service.registry import Registry
from config_service.watch import WatchHub
from config_service.writer import RegistryWriter
from servicekit.errors import SieError
from servicekit.registry_follower import RegistryFollower
from servicekit.registry_state import Key
from sie.registry.v1.bundle_pb2 import Bundle
from sie.registry.v1.machine_profile_pb2 import MachineProfile
from sie.registry.v1.model_pb2 import Model
from sie.registry.v1.registry_service_pb2 import WatchRegistryResponse
from tests.unit.config_service.memory_store import Bucket, MemoryStore

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
RECENT = 12


def _model(name, tokens, bundles, profile):
    definition = Model(
        model_id=name, max_sequence_length=tokens, bundles=bundles, machine_profile=profile
    )
    definition.sources.add(directory="/models/a")
    definition.tasks.score.SetInParent()
    return definition


NAMED_PROFILES = st.sampled_from(["", "", "l4"])
MODELS = st.builds(
    _model,
    st.sampled_from(["a", "b/c", "d__e"]),
    st.integers(1, 3),
    st.sampled_from([(), ("default",), ("fast",), ("fast", "default")]),
    NAMED_PROFILES,
)
BUNDLES = st.builds(
    lambda name, priority, profile: Bundle(
        bundle_id=name, priority=priority, machine_profile=profile
    ),
    st.sampled_from(["default", "fast"]),
    st.integers(0, 2),
    NAMED_PROFILES,
)
PROFILES = st.builds(lambda spot: MachineProfile(machine_profile_id="l4", spot=spot), st.booleans())
KEYS = st.sampled_from(
    [
        Key("model", "a"),
        Key("model", "b/c"),
        Key("bundle", "default"),
        Key("bundle", "fast"),
        Key("machine_profile", "l4"),
    ]
)
DEFINITIONS = st.one_of(MODELS, BUNDLES, PROFILES)
COMMANDS = st.one_of(
    st.builds(Apply, DEFINITIONS),
    st.builds(Delete, KEYS, allow_missing=st.booleans()),
    st.builds(
        lambda found, prune: Import({f"d[{i}]": d for i, d in enumerate(found)}, frozenset(prune)),
        st.lists(DEFINITIONS, max_size=4),
        st.sets(st.sampled_from(["model", "bundle", "machine_profile"])),
    ),
    st.builds(Rollback, st.integers(1, 40), st.one_of(st.none(), KEYS)),
)
WRITERS = st.integers(0, 1)


def _import(document):
    """Everything that a document holds, and nothing else."""
    definitions = [*document.machine_profiles, *document.bundles, *document.models]
    kinds = frozenset(["machine_profile", "bundle", "model"])
    return Import({f"d[{i}]": found for i, found in enumerate(definitions)}, kinds)


class Service:
    """One config process as far as the registry goes."""

    def __init__(self, bucket, clock):
        self.registry = Registry(max_recent=RECENT)
        self.hub = WatchHub(self.registry, progress_interval_s=0)
        self.store = MemoryStore(bucket)
        self.writer = RegistryWriter(self.registry, self.store, self.hub, Metrics(), clock=clock)

    @property
    def contents(self):
        return self.registry.state.to_snapshot()


class View:
    """A watcher that keeps what it has seen when its connection breaks."""

    def __init__(self, hub):
        self.hub = hub
        self.follower = RegistryFollower()
        self.watch = hub.watch(0)

    @property
    def contents(self):
        return self.follower.state.to_snapshot()

    async def catch_up(self):
        """Reads until nothing is left to read, connecting again as often as it takes."""
        for _ in range(4):
            if await self.read():
                return
            await self.connect(self.hub)
        raise AssertionError("a watch that begins with a snapshot does not end")

    async def read(self):
        """Whether the watch has shown everything there is, and not broken off."""
        try:
            async for body in self.watch:
                response = WatchRegistryResponse.FromString(body)
                # What is taken follows what is held, or replaces it: nothing is lost or repeated.
                list(self.follower.take(response))
                if response.HasField("progress"):
                    return True
        except (ValueError, SieError):
            self.follower.doubt()
        return False

    async def connect(self, hub):
        """Breaks the connection, and asks for the rest wherever the registry is by then."""
        await self.watch.aclose()
        self.hub, self.watch = hub, hub.watch(self.follower.from_revision)


class RegistryMachine(RuleBasedStateMachine):
    """Two writers on one bucket."""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.bucket = Bucket()
        self.moments = itertools.count()
        self.services = [Service(self.bucket, self.clock) for _ in range(2)]
        self.views = [View(self.services[0].hub)]
        # The documents that were there, by revision, since the bucket was last lost.
        self.seen = {}

    def teardown(self):
        for view in self.views:
            self.run(view.watch.aclose())
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    def clock(self):
        # No two commits are the same, as they are not where histories part.
        return START + dt.timedelta(seconds=next(self.moments))

    def run(self, work):
        return self.loop.run_until_complete(work)

    @initialize()
    def start(self):
        for service in self.services:
            self.run(service.writer.catch_up())
        self.run(self.services[0].writer.execute(Apply(Bundle(bundle_id="default"))))

    @rule(number=WRITERS, command=COMMANDS)
    def command(self, number, command):
        service = self.services[number]
        try:
            outcome = self.run(service.writer.execute(command))
        except SieError:
            return
        assert outcome.revision == service.registry.revision
        revision = service.registry.revision
        self.seen[revision] = service.registry.document(revision)

    @rule(number=WRITERS, other=WRITERS, command=COMMANDS, key=st.sampled_from("kl"))
    def command_repeated_under_its_key(self, number, other, command, key):
        """A refused command may be accepted later; one that was answered is answered the same."""
        identity = Identity(f"{key}{command}".encode(), b"request")
        with contextlib.suppress(SieError):
            first = self.run(self.services[number].writer.execute(command, identity))
            # A process that knows more than a store without its memory gives that back first.
            self.run(self.services[other].writer.catch_up())
            before = self.services[other].contents
            again = self.run(self.services[other].writer.execute(command, identity))
            assert again == first
            assert self.services[other].contents == before

    @rule(number=WRITERS, which=st.integers(0, 1000), by_import=st.booleans())
    def any_moment_comes_back(self, number, which, by_import):
        if not self.seen:
            return
        revision, document = list(self.seen.items())[which % len(self.seen)]
        service = self.services[number]
        self.run(service.writer.catch_up())
        command = _import(document) if by_import else Rollback(revision)
        self.run(service.writer.execute(command))
        found = service.registry.document(service.registry.revision)
        found.revision = revision
        assert found == document

    @rule(number=WRITERS, command=COMMANDS, fault=st.sampled_from(["refused", "lost"]))
    def command_that_breaks_off(self, number, command, fault):
        self.services[number].store.fault = fault
        with contextlib.suppress(SieError):
            self.run(self.services[number].writer.execute(command))
        self.services[number].store.fault = None

    @rule(number=WRITERS)
    def service_restarts(self, number):
        self.services[number] = service = Service(self.bucket, self.clock)
        self.run(service.writer.catch_up())
        if number == 0:
            for view in self.views:
                self.run(view.connect(service.hub))

    @rule(number=WRITERS)
    def broker_loses_its_memory(self, number):
        self.bucket.lose()
        self.seen = {}
        self.run(self.services[number].writer.catch_up())

    @rule()
    def watcher_comes(self):
        if len(self.views) < 4:
            self.views.append(View(self.services[0].hub))

    @rule(index=st.integers(0, 3))
    def watcher_reads(self, index):
        self.run(self.views[index % len(self.views)].catch_up())

    @rule(index=st.integers(0, 3))
    def watcher_reconnects(self, index):
        view = self.views[index % len(self.views)]
        self.run(view.catch_up())
        self.run(view.connect(view.hub))

    @rule()
    def all_agree(self):
        for service in (*self.services, self.services[0]):
            self.run(service.writer.catch_up())
        one, other = self.services
        assert one.contents == other.contents
        replayed = Registry()
        replayed.replace(self.run(MemoryStore(self.bucket).load()).events)
        assert replayed.state.to_snapshot() == one.contents
        for view in self.views:
            self.run(view.catch_up())
            assert view.contents == one.contents
        for revision, document in self.seen.items():
            assert one.registry.document(revision) == document

    @invariant()
    def what_is_there_is_valid(self):
        for service in self.services:
            state = service.registry.state
            for model in state.models.values():
                assert all(bundle in state.bundles for bundle in model.bundles or ["default"])
            for definition in (*state.models.values(), *state.bundles.values()):
                assert definition.machine_profile in ("", *state.machine_profiles)


TestRegistryMachine = RegistryMachine.TestCase
TestRegistryMachine.settings = settings(max_examples=60, stateful_step_count=30)
