"""From a checkpoint to the engine that runs it: compiled, chosen, measured, opened.

setting `auto` ─► profile kept? ─ no ─► every engine at hand runs the probe batch ─► keep
                       └──── yes ──────────────────────────────────────────────────► open
"""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

import numpy as np

from worker.checkpoint import Checkpoint, CheckpointError
from worker.engine import Engine, EngineError, TokenBatch
from worker.engine_cache import EngineCache
from worker.engines.catalog import at_hand, engine_kind
from worker.engines.choose import AUTO, Choice, compare, pick
from worker.engines.device import fingerprint
from worker.graph_form import GraphForm
from worker.probe import CostModel, measure
from worker.profile import EngineProfile, ProfileStore

log = logging.getLogger(__name__)

TEXT_GRAPH = "model.onnx"

PUBLISHED = "onnxruntime-cpu-published"
"""The engine of a graph that the repository ships: for models that are not compiled here."""
_PUBLISHED_GRAPH = Path("onnx/model.onnx")

# What engines are compared on: as much work as a batch of short texts, of equal lengths.
_PROBE_ROWS, _PROBE_TOKENS = 8, 32


class EngineOpener:
    """Opens engines of one checkpoint.

    Args:
        checkpoint: what to run.
        cache_dir: where compiled graphs and profiles are kept.
        setting: an engine's name, or `auto`.
        cores: how many cores an engine on the CPU uses; all by default.

    """

    def __init__(
        self, checkpoint: Checkpoint, cache_dir: Path, setting: str, cores: int | None
    ) -> None:
        self._checkpoint = checkpoint
        self._cache = EngineCache(cache_dir)
        self._profiles = ProfileStore(cache_dir)
        self._cores = cores
        self._kinds = at_hand() if setting == AUTO else [engine_kind(setting)]
        self._setting = setting
        published = checkpoint.root / _PUBLISHED_GRAPH
        self._published = published if published.exists() else None
        self._chosen: dict[str, Engine] = {}

    def profile(self) -> EngineProfile:
        """Choose and measure, unless that was done before on such a machine.

        Raises:
            CheckpointError: the checkpoint is incomplete, corrupt or not supported.
            EngineError: no engine can run it.

        """
        names = [kind.name for kind in self._kinds]
        parts = {
            "checkpoint": self._identity(),
            "setting": self._setting,
            **fingerprint(names, self._cores),
        }
        kept = self._profiles.find(parts)
        if kept is not None:
            return kept
        try:
            choice = self._choose()
        except CheckpointError as error:
            if self._published is None:
                raise
            choice = Choice(PUBLISHED, f"the published graph, since {error}")
        profile = EngineProfile(choice, self._measure(choice.engine))
        self._profiles.keep(parts, profile)
        return profile

    def compiled(self, name: str) -> Path:
        """Return the directory of the graphs that an engine reads, compiling them if need be."""
        if name == PUBLISHED and self._published is not None:
            return self._published.parent
        form = engine_kind(name).form
        key = self._key(form)
        return self._cache.find(key) or self._compile(key, form)

    def open(self, name: str, graph: str = TEXT_GRAPH) -> Engine:
        """Open an engine on one of the graphs; raise EngineError if it rejects it.

        The engine that was chosen just now is open already, and is handed out once.
        """
        opened = self._chosen.pop(name, None) if graph == TEXT_GRAPH else None
        if opened is not None:
            return opened
        if name == PUBLISHED and self._published is not None:
            return _published_engine(self._published, self._checkpoint, self._cores)
        path, longest = self.compiled(name) / graph, self._checkpoint.max_length
        return engine_kind(name).open(path, self._cores, longest)

    def _identity(self) -> str:
        """Return what the checkpoint's weights are, wherever they lie."""
        try:
            return self._key(self._kinds[0].form)
        except CheckpointError:
            if self._published is None:
                raise
            return self._cache.digest(self._published)

    def _choose(self) -> Choice:
        if len(self._kinds) == 1:
            name = self._kinds[0].name
            self._chosen[name] = self.open(name)
            return Choice(name, "asked for, or alone at hand")
        engines, failures = self._open_all()
        batch = _rows(min(_PROBE_TOKENS, self._checkpoint.max_length), _PROBE_ROWS)
        choice = pick(compare(self._kinds, engines, batch, failures=failures))
        for name, engine in engines.items():
            if name == choice.engine:
                self._chosen[name] = engine
            else:
                engine.close()
        return choice

    def _open_all(self) -> tuple[dict[str, Engine], dict[str, str]]:
        engines: dict[str, Engine] = {}
        failures: dict[str, str] = {}
        for kind in self._kinds:
            try:
                engines[kind.name] = self.open(kind.name)
            except EngineError as error:
                failures[kind.name] = str(error)
        return engines, failures

    def _measure(self, name: str) -> CostModel | None:
        engine = self.open(name)
        try:
            cost = measure(partial(_run, engine), self._checkpoint.max_length)
        except EngineError as error:
            # The canary says whether the model works at all.
            log.warning("cost of %s not measured: %s", name, error)
            cost = None
        self._chosen[name] = engine
        return cost

    def _key(self, form: GraphForm) -> str:
        return self._cache.key(self._checkpoint, form=str(form))

    def _compile(self, key: str, form: GraphForm) -> Path:
        # Importing onnx takes as long as a warm start.
        from worker.compiler import compile_checkpoint  # noqa: PLC0415

        return self._cache.build(
            key, lambda work: compile_checkpoint(self._checkpoint, work, form=form)
        )


def _published_engine(graph: Path, checkpoint: Checkpoint, cores: int | None) -> Engine:
    # Imported by those who use it: it imports ONNX Runtime.
    from worker.engines.published_onnx import PublishedOnnx  # noqa: PLC0415

    return PublishedOnnx(graph, checkpoint, cores=cores)


def _run(engine: Engine, rows: int, tokens: int) -> None:
    engine.run(_rows(tokens, rows))


def _rows(tokens: int, rows: int) -> TokenBatch:
    """Return rows of ids that differ; every vocabulary has the first hundred."""
    ids = 1 + np.arange(rows * tokens, dtype=np.int32).reshape(rows, tokens) % 97
    return TokenBatch(ids, np.full(rows, tokens, dtype=np.int32))
