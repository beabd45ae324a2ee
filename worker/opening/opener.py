"""From a checkpoint to the engine that runs it: compiled, chosen, measured, opened.

profile kept? ─ no ─► every engine at hand, on every form of graph that it reads, runs the probe
     │                 batch ─► cost of a run ─► groups against packed rows ─► keep
     └──── yes ──────────────────────────────────────────────────────────────► open
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.config import CheckpointError
from worker.checkpoint.heads import SpanHead
from worker.compiler.graph_form import TEXT_GRAPH, VISION_GRAPH, GraphForm, Layout, Precision
from worker.engine import Engine, EngineError, TokenBatch
from worker.engines.catalog import AUTO, PUBLISHED, Candidate, candidates, engine_kind, engines_for
from worker.engines.choose import Choice, compare, least_cosine, pick
from worker.engines.packed_rows import PackedRows
from worker.opening.engine_cache import EngineCache
from worker.opening.fingerprint import fingerprint
from worker.opening.layout import LayoutChoice, LayoutSetting, asked_for, choose_layout
from worker.opening.probe import CostModel, measure
from worker.opening.profile import EngineProfile, ProfileStore

log = logging.getLogger(__name__)

_PUBLISHED_GRAPH = Path("onnx/model.onnx")

# What engines are compared on: as much work as a batch of short texts, of equal lengths.
_PROBE_ROWS, _PROBE_TOKENS = 8, 32


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What an operator asks for.

    Attributes:
        engine: an engine's name, or AUTO.
        precision: what the engine must compute in; None where that does not matter.
        layout: who decides whether texts share rows.
        cores: how many cores an engine on the CPU uses; None for all.

    """

    engine: str = AUTO
    precision: Precision | None = None
    layout: LayoutSetting = LayoutSetting.AUTO
    cores: int | None = None


class EngineOpener:
    """Opens engines of one checkpoint.

    Args:
        checkpoint: what to run.
        cache_dir: where compiled graphs and profiles are kept.
        settings: which engines may run it.

    Raises:
        EngineError: none of the engines asked for can run here.

    """

    def __init__(self, checkpoint: Checkpoint, cache_dir: Path, settings: EngineSettings) -> None:
        self._checkpoint = checkpoint
        self._cache = EngineCache(cache_dir)
        self._profiles = ProfileStore(cache_dir)
        self._settings = settings
        self._candidates = candidates(engines_for(settings.engine, settings.precision))
        published = checkpoint.root / _PUBLISHED_GRAPH
        self._published = published if published.exists() else None
        self._opened: dict[Candidate, Engine] = {}

    def profile(self) -> EngineProfile:
        """Choose and measure, unless that was done before on such a machine.

        Raises:
            CheckpointError: the checkpoint is incomplete, corrupt or not supported.
            EngineError: no engine can run it.

        """
        names = list(map(str, self._candidates))
        parts = {
            "checkpoint": self._identity(),
            "setting": [self._settings.engine, self._settings.precision, self._settings.layout],
            **fingerprint(names, self._settings.cores),
        }
        return self._profiles.get(parts, self._measured)

    def compiled(self, choice: Choice) -> Path:
        """Return the directory of the graphs that an engine reads, compiling them if need be."""
        if choice.engine == PUBLISHED and self._published is not None:
            return self._published.parent
        return self._graphs(choice.form)

    def open(self, profile: EngineProfile) -> Engine:
        """Open the engine that was chosen; raise EngineError if it rejects the graph."""
        choice, layout = profile.choice, profile.layout
        if choice.engine == PUBLISHED and self._published is not None:
            return _published_engine(self._published, self._checkpoint, self._settings.cores)
        candidate = Candidate(engine_kind(choice.engine), choice.form)
        # What was measured just now is open already.
        engine = self._opened.pop(candidate, None) or self._open(candidate)
        for other in self._opened.values():
            other.close()
        self._opened.clear()
        if layout is None or not layout.row_tokens:
            return engine
        return PackedRows(engine, layout.row_tokens)

    def open_vision(self, choice: Choice) -> Engine:
        """Open the same engine on the graph for images."""
        return self._open(Candidate(engine_kind(choice.engine), choice.form), VISION_GRAPH)

    def _identity(self) -> str:
        """Return what the checkpoint's weights are, wherever they lie."""
        try:
            return self._key(self._candidates[0].form)
        except CheckpointError:
            if self._published is None:
                raise
            return self._cache.digest(self._published)

    def _choose(self) -> Choice:
        if len(self._candidates) == 1:
            only = self._candidates[0]
            self._opened[only] = self._open(only)
            return Choice(only.kind.name, only.form, "asked for, or alone at hand")
        failures = self._open_all()
        batch = self._rows(_PROBE_ROWS, min(_PROBE_TOKENS, self._checkpoint.max_length))
        return pick(compare(self._candidates, self._opened, batch, failures=failures))

    def _open_all(self) -> dict[Candidate, str]:
        """Open every engine; return why some could not be."""
        failures: dict[Candidate, str] = {}
        for each in self._candidates:
            try:
                self._opened[each] = self._open(each)
            except EngineError as error:
                failures[each] = str(error)
        return failures

    def _measured(self) -> EngineProfile:
        """Choose an engine, measure it, and decide whether its texts should share rows."""
        try:
            choice = self._choose()
        except CheckpointError as error:
            if self._published is None:
                raise
            choice = Choice(PUBLISHED, GraphForm(), f"the published graph, since {error}")
            cores = self._settings.cores
            engine = _published_engine(self._published, self._checkpoint, cores)
            return EngineProfile(choice, self._cost(engine))
        candidate = Candidate(engine_kind(choice.engine), choice.form)
        if candidate not in self._opened:
            raise EngineError(choice.reason)
        cost = self._cost(self._opened[candidate])
        layout = self._layout(candidate, cost)
        if layout is not None and layout.row_tokens:
            choice = replace(choice, form=_packed(choice.form))
        return EngineProfile(choice, cost, layout)

    def _cost(self, engine: Engine) -> CostModel | None:
        try:
            return measure(
                lambda rows, tokens: engine.run(self._rows(rows, tokens)),
                self._checkpoint.max_length,
            )
        except EngineError as error:
            # The canary says whether the model works at all.
            log.warning("cost of %s not measured: %s", engine.name, error)
            return None

    def _layout(self, candidate: Candidate, cost: CostModel | None) -> LayoutChoice | None:
        """Decide whether texts share rows; None for models whose texts cannot."""
        setting = self._settings.layout
        if setting == LayoutSetting.PADDED or not candidate.kind.on_cpu:
            return None
        # Importing onnx takes as long as a warm start.
        from worker.compiler.compile import packs  # noqa: PLC0415

        if not packs(self._checkpoint):
            return None
        if setting == LayoutSetting.PACKED:
            return asked_for()
        if cost is None:
            return None
        # On one core each, as runs have it under load: many small runs are dearer on several.
        groups = self._open(candidate, cores=1)
        packed = self._open(Candidate(candidate.kind, _packed(candidate.form)), cores=1)
        try:
            streams = self._opened[candidate].streams
            return choose_layout(groups, packed, cost, least_cosine(candidate.kind), streams)
        finally:
            groups.close()
            packed.close()

    def _rows(self, rows: int, tokens: int) -> TokenBatch:
        """Return rows of ids that differ; every vocabulary has the first hundred."""
        ids = 1 + np.arange(rows * tokens, dtype=np.int32).reshape(rows, tokens) % 97
        lengths = np.full(rows, tokens, dtype=np.int32)
        if not isinstance(self._checkpoint.heads[0], SpanHead):
            return TokenBatch(ids, lengths)
        # One label, and a word a token.
        marks = np.broadcast_to(np.arange(tokens, dtype=np.int32), ids.shape).copy()
        marks[:, 0] = -1
        return TokenBatch(ids, lengths, marks=marks)

    def _open(
        self, candidate: Candidate, graph: str = TEXT_GRAPH, *, cores: int | None = None
    ) -> Engine:
        path, longest = self._graphs(candidate.form) / graph, self._checkpoint.max_length
        return candidate.kind.open(path, cores or self._settings.cores, longest)

    def _graphs(self, form: GraphForm) -> Path:
        key = self._key(form)
        return self._cache.find(key) or self._compile(key, form)

    def _key(self, form: GraphForm) -> str:
        return self._cache.key(self._checkpoint, form=str(form))

    def _compile(self, key: str, form: GraphForm) -> Path:
        from worker.compiler.compile import compile_checkpoint  # noqa: PLC0415 - as above

        return self._cache.build(
            key, lambda work: compile_checkpoint(self._checkpoint, work, form=form)
        )


def _packed(form: GraphForm) -> GraphForm:
    return replace(form, layout=Layout.PACKED)


def _published_engine(graph: Path, checkpoint: Checkpoint, cores: int | None) -> Engine:
    # Imported by those who use it: it imports ONNX Runtime.
    from worker.engines.published_onnx import PublishedOnnx  # noqa: PLC0415

    return PublishedOnnx(graph, checkpoint, cores=cores)
