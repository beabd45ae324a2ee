"""From a checkpoint directory to a model that has answered once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from worker.batching.batcher import BatchLimits
from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.config import CheckpointError
from worker.checkpoint.heads import Output, SequenceClassificationHead, TokenClassificationHead
from worker.checkpoint.special_tokens import special_tokens
from worker.engine import Engine
from worker.engines.catalog import REFERENCE
from worker.engines.choose import Choice
from worker.hosting.canary import check_canary, check_image_canary
from worker.hosting.overrides import Overrides, overridden
from worker.images.vision import Vision, has_vision
from worker.opening.layout import LayoutChoice, LayoutSetting, with_rows
from worker.opening.opener import EngineOpener, EngineSettings
from worker.opening.probe import DEFAULT_LIMITS, CostModel, limits_of
from worker.texts.late_interaction import open_tokenizer
from worker.texts.tokenizer import Tokenizer
from worker.verbs.relevance import Relevance, relevance_of

_VERBS = {
    Output.DENSE: ("encode", "score"),
    Output.SPARSE: ("encode",),
    Output.TOKEN_WEIGHTS: ("encode",),
    Output.MULTIVECTOR: ("encode", "score"),
    Output.LOGITS: ("score", "extract"),
    Output.TOKEN_LOGITS: ("extract",),
    Output.SPAN_LOGITS: ("extract",),
}

# BGE-M3 gives these no weight, whatever the model says.
_WEIGHTLESS = ("cls_token", "eos_token", "pad_token", "unk_token")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to serve.

    Attributes:
        tokenizer: texts to token ids.
        engine: token ids to outputs.
        sizes: for each output its last dimension, the default output first; for token
            weights the size of the vocabulary.
        max_length: the longest input in tokens, special tokens included.
        prompts: texts to put before an input, by name, such as `query`.
        default_prompt: what is put before an input that is neither query nor document.
        weightless: ids that token weights are dropped for.
        seconds: how long each phase of loading took: read, choose, compile, session, warm_up.
        labels: what the logits of a classifier stand for, in their order.
        vision: images to vectors, for a model that reads them too.
        relevance: how a pair's logits become a score, for a model that has such.
        choice: why this engine runs it.
        cost: of a run of the engine, where it was measured.
        layout: how its batches are shaped and why, where its texts could share rows.

    """

    tokenizer: Tokenizer
    engine: Engine
    sizes: Mapping[Output, int]
    max_length: int
    prompts: Mapping[str, str]
    default_prompt: str
    weightless: frozenset[int]
    seconds: Mapping[str, float]
    labels: tuple[str, ...] = ()
    vision: Vision | None = None
    relevance: Relevance | None = None
    choice: Choice | None = None
    cost: CostModel | None = None
    layout: LayoutChoice | None = None

    @property
    def limits(self) -> BatchLimits:
        """How batches are shaped for the engine."""
        limits = DEFAULT_LIMITS if self.cost is None else limits_of(self.cost)
        return limits if self.layout is None else with_rows(limits, self.layout.row_tokens)

    @property
    def verbs(self) -> frozenset[str]:
        """Which of `encode`, `score` and `extract` the outputs can answer, and `tokenize`."""
        answered = frozenset(verb for output in self.sizes for verb in _VERBS[output])
        return answered | {"tokenize"}


def load(
    directory: Path,
    cache_dir: Path,
    *,
    cores: int | None = None,
    engine: str = REFERENCE.name,
    layout: LayoutSetting = LayoutSetting.AUTO,
    overrides: Overrides = Overrides(),  # noqa: B008 - immutable
) -> LoadedModel:
    """Open a checkpoint, compile it unless the cache holds it, and run a canary through it.

    Args:
        directory: a sentence-transformers or transformers checkpoint.
        cache_dir: where compiled graphs are kept; created if need be, shared by processes.
        cores: how many cores the engine uses; all that this process may run on by default.
        engine: an engine's name, or `auto` for the fastest of those at hand.
        layout: who decides whether texts share rows.
        overrides: what the registry says instead of the checkpoint.

    Raises:
        CheckpointError: the checkpoint is incomplete, corrupt or not supported.
        LoadError: the checkpoint cannot do what the registry says.
        CanaryError: the loaded model answers with something other than finite numbers.
        EngineError: the engine is not at hand, or rejects the graph.

    """
    seconds: dict[str, float] = {}
    with _timed(seconds, "read"):
        checkpoint = overridden(Checkpoint.open(directory), overrides)
        tokenizer = open_tokenizer(checkpoint)
        settings = EngineSettings(engine, overrides.precision, layout, cores)
        opener = EngineOpener(checkpoint, cache_dir, settings)
    with _timed(seconds, "choose"):
        profile = opener.profile()
    with _timed(seconds, "compile"):
        compiled = opener.compiled(profile.choice)
    with _timed(seconds, "session"):
        opened = opener.open(profile)
        vision = _vision(checkpoint, compiled, opener, profile.choice)
    with _timed(seconds, "warm_up"):
        shapes = check_canary(tokenizer, opened, checkpoint.outputs)
        if vision is not None:
            check_image_canary(vision, shapes[Output.DENSE])
    named = special_tokens(checkpoint)
    return LoadedModel(
        tokenizer=tokenizer,
        engine=opened,
        sizes=_sizes(checkpoint, shapes),
        max_length=checkpoint.max_length,
        prompts=checkpoint.prompts,
        default_prompt=checkpoint.default_prompt,
        weightless=frozenset(tokenizer.token_ids(named[k] for k in _WEIGHTLESS if k in named)),
        seconds=seconds,
        labels=_labels(checkpoint, shapes),
        vision=vision,
        relevance=relevance_of(checkpoint, shapes.get(Output.LOGITS, (0,))[-1]),
        choice=profile.choice,
        cost=profile.cost,
        layout=profile.layout,
    )


def _sizes(checkpoint: Checkpoint, shapes: Mapping[Output, tuple[int, ...]]) -> dict[Output, int]:
    sizes = {output: shape[-1] for output, shape in shapes.items()}
    if Output.TOKEN_WEIGHTS in sizes:
        sizes[Output.TOKEN_WEIGHTS] = checkpoint.config.integer("vocab_size")
    return sizes


def _labels(checkpoint: Checkpoint, shapes: Mapping[Output, tuple[int, ...]]) -> tuple[str, ...]:
    """Return the classes' names; `transformers` numbers those that no file names."""
    named = checkpoint.labels
    if not isinstance(checkpoint.heads[0], SequenceClassificationHead | TokenClassificationHead):
        return named
    classes = shapes[checkpoint.outputs[0]][-1]
    if named and len(named) != classes:
        problem = f"id2label names {len(named)} labels, and the classifier has {classes}"
        raise CheckpointError(checkpoint.config.path, problem)
    return named or tuple(f"LABEL_{number}" for number in range(classes))


def _vision(
    checkpoint: Checkpoint, compiled: Path, opener: EngineOpener, choice: Choice
) -> Vision | None:
    if not has_vision(compiled):
        return None
    # Imported by those who use it: it imports Pillow.
    from worker.images.preprocessor import ImagePreprocessor  # noqa: PLC0415

    preprocessor = ImagePreprocessor.open(checkpoint.directory)
    tower = checkpoint.config.below("vision_config")
    side = tower.positive("image_size")
    if side is not None and preprocessor.size != (side, side):
        size = " x ".join(map(str, preprocessor.size))
        problem = f"the model reads images of {side} x {side} pixels, the preprocessor makes {size}"
        raise CheckpointError(checkpoint.config.path, problem)
    # Where it is left out, the size is that of most towers; it is only counted with.
    patch_size = tower.positive("patch_size") or 16
    return Vision(preprocessor, opener.open_vision(choice), patch_size)


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[phase] = time.perf_counter() - started
