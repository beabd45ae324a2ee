"""The slow part of hosting a model, on threads: its files, then its engine.

fetch   several at once, since they wait for networks
load    one at a time, since each wants every core, and its memory is measured
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sie.inference.v1.model_service_pb2 import InputType
from sie.registry.v1.model_pb2 import Model
from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.config import CheckpointError
from worker.engines.catalog import AUTO
from worker.hosting.loading import LoadedModel, load
from worker.hosting.memory import Memory, release_unused
from worker.hosting.overrides import overrides_of
from worker.load_errors import ErrorClass, LoadError
from worker.opening.layout import LayoutSetting
from worker.sources import Locator, Progress
from worker.verbs.encode_settings import output_for
from worker.verbs.scoring import can_score

_FETCHES = 4
# The sessions over a model's weights, before that was measured.
_SESSIONS_BYTES = 48 << 20


@dataclass(frozen=True, slots=True)
class Cost:
    """What a model takes.

    Attributes:
        weights_bytes: size of its weights on disk.
        memory_bytes: what it takes in memory, estimated or measured.

    """

    weights_bytes: int
    memory_bytes: int


class Loader:
    """Fetches and loads models.

    Args:
        cache_dir: where compiled graphs are kept.
        locator: finds or fetches their files.
        memory: where they are loaded to.
        engine: the engine of every model, or `auto`.
        layout: who decides whether texts share rows.

    """

    def __init__(
        self,
        cache_dir: Path,
        locator: Locator,
        memory: Memory,
        engine: str = AUTO,
        layout: LayoutSetting = LayoutSetting.AUTO,
    ) -> None:
        self._engine = engine
        self._layout = layout
        self._cache_dir = cache_dir
        self._locator = locator
        self._memory = memory
        self._fetching = ThreadPoolExecutor(_FETCHES, "fetch")
        self._loading = ThreadPoolExecutor(1, "load")
        self._measured: dict[str, tuple[Model, Cost]] = {}

    async def fetch(self, model: Model, progress: Progress) -> Path:
        """Return the model's directory; raises what Locator.locate does."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._fetching, self._locator.locate, model.sources, progress
        )

    async def cost(self, model: Model, directory: Path) -> Cost:
        """Return what the model will take: as measured before, else estimated."""
        definition, cost = self._measured.get(model.model_id, (None, None))
        if cost is not None and definition == model:
            return cost
        weights = await asyncio.to_thread(_weights_bytes, directory)
        return Cost(weights, weights + _SESSIONS_BYTES)

    async def load(self, model: Model, directory: Path) -> tuple[LoadedModel, Cost]:
        """Load a model, and measure what it takes; raises what `load` does."""
        loop = asyncio.get_running_loop()
        loaded, cost = await loop.run_in_executor(self._loading, self._load, model, directory)
        self._measured[model.model_id] = (model, cost)
        return loaded, cost

    def close(self) -> None:
        """Let the threads end after what they do."""
        self._fetching.shutdown(wait=False)
        self._loading.shutdown(wait=False)

    def _load(self, model: Model, directory: Path) -> tuple[LoadedModel, Cost]:
        before = self._memory.used_bytes()
        try:
            loaded = load(
                directory,
                self._cache_dir,
                engine=self._engine,
                layout=self._layout,
                overrides=overrides_of(model),
            )
            check_abilities(model, loaded)
        finally:
            # What reading and compiling took is no cost of the model, nor of a failed load.
            release_unused()
        weights = _weights_bytes(directory)
        # Pages that another model has left may serve this one, which then seems to cost
        # nothing: its weights are the least that can be true.
        return loaded, Cost(weights, max(self._memory.used_bytes() - before, weights))


def check_abilities(model: Model, loaded: LoadedModel) -> None:
    """Raise LoadError if the checkpoint is not what the registry says."""
    encode = model.tasks.encode
    for name in ("dense", "sparse", "multivector"):
        if encode.HasField(name):
            _check_size(name, getattr(encode, name).dims, loaded)
    if model.tasks.HasField("score") and not can_score(model, loaded):
        raise _unable("the registry says that the model scores, the checkpoint cannot")
    if model.tasks.HasField("extract") and "extract" not in loaded.verbs:
        raise _unable("the registry says that the model extracts, the checkpoint cannot")
    if InputType.INPUT_TYPE_IMAGE in model.inputs and loaded.vision is None:
        raise _unable("the registry says that the model reads images, the checkpoint cannot")


def _unable(message: str) -> LoadError:
    return LoadError(message, ErrorClass.UNSUPPORTED)


def _check_size(name: str, declared: int, loaded: LoadedModel) -> None:
    output = output_for(name, loaded.sizes)
    if output is None:
        raise _unable(f"the registry says {name} vectors, the checkpoint has none")
    if declared and declared != loaded.sizes[output]:
        raise _unable(
            f"the registry says {declared} dimensions of {name}, "
            f"the checkpoint has {loaded.sizes[output]}"
        )


def _weights_bytes(directory: Path) -> int:
    return sum(map(_file_bytes, Checkpoint.open(directory).weight_files()))


def _file_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        raise CheckpointError(path, "is missing") from None
