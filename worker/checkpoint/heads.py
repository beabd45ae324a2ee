"""What a checkpoint answers with: its heads, decided from its files in this one place.

what the files say                              heads
modules.json with SpladePooling                 sparse
modules.json with Pooling                       dense
  and sparse_linear, colbert_linear beside it     and token_weights, multivector (BGE-M3)
modules.json with Dense but no Pooling          multivector (PyLate, MultiVectorEncoder)
architecture HF_ColBERT                         multivector
without Pooling, by the architecture:
  ...ForSequenceClassification                  logits
  ...ForTokenClassification                     token_logits
  ...ForCausalLM                                logits of no and yes (Qwen3-Reranker)
  ...ForMaskedLM                                sparse (SPLADE as first published)
gliner_config.json for config.json              span_logits
anything else                                   dense, by mean pooling
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

from worker.checkpoint.config import CheckpointError, Config
from worker.checkpoint.modules import MASK, Module
from worker.checkpoint.weights import weight_files

SPAN_CONFIG = "gliner_config.json"
"""What GLiNER checkpoints have for a config.json; their encoder's is an entry of it."""


class Output(StrEnum):
    """Outputs of an engine, all float32."""

    DENSE = "dense"
    """(rows, size)"""
    SPARSE = "sparse"
    """(rows, vocabulary), not negative"""
    TOKEN_WEIGHTS = "token_weights"  # noqa: S105 - no password
    """(rows, tokens), not negative: a weight for the token that stands there"""
    MULTIVECTOR = "multivector"
    """(rows, tokens, size), each of length 1"""
    LOGITS = "logits"
    """(rows, labels)"""
    TOKEN_LOGITS = "token_logits"  # noqa: S105 - no password
    """(rows, tokens, labels)"""
    SPAN_LOGITS = "span_logits"
    """(rows, words, widths, labels): spans by first word and words less one, labels in the
    order of the input; what runs past a row's words or labels means nothing"""


class Pooling(StrEnum):
    """How the token vectors of a text become one vector."""

    MEAN = "mean"
    CLS = "cls"
    LAST_TOKEN = "lasttoken"  # noqa: S105 - no password
    MAX = "max"
    MEAN_SQRT_LEN = "mean_sqrt_len"
    WEIGHTED_MEAN = "weightedmean"


@dataclass(frozen=True, slots=True)
class Projection:
    """A linear layer in files of its own.

    Attributes:
        directory: where they lie, below the checkpoint's.
        stem: their name, less what follows the dot.
        layer: what the names of its tensors begin with; "" where they are `weight` and `bias`.
        activation: what follows, in lower case.

    """

    directory: str
    stem: str
    layer: str
    activation: str


@dataclass(frozen=True, slots=True)
class DenseHead:
    """Pooling, then projections, then scaling to length 1."""

    output: ClassVar[Output] = Output.DENSE
    pooling: Pooling
    projections: tuple[Projection, ...] = ()
    normalize: bool = False


@dataclass(frozen=True, slots=True)
class SpladeHead:
    """The masked language model's logits, log(1 + relu(x)) `logarithms` times, over tokens."""

    output: ClassVar[Output] = Output.SPARSE
    pooling: str = "max"
    logarithms: int = 1


@dataclass(frozen=True, slots=True)
class TokenWeightsHead:
    """A linear layer to one number for each token, and relu."""

    output: ClassVar[Output] = Output.TOKEN_WEIGHTS
    projection: Projection


@dataclass(frozen=True, slots=True)
class MultivectorHead:
    """Projections of each token, scaled to length 1.

    Attributes:
        projections: without any the layer is `linear` among the encoder's own weights.
        marked: whether queries and documents are told apart by a token of their own, as
            ColBERT does; otherwise the first token's vector is left out of the answer.

    """

    output: ClassVar[Output] = Output.MULTIVECTOR
    projections: tuple[Projection, ...] = ()
    marked: bool = True


@dataclass(frozen=True, slots=True)
class SequenceClassificationHead:
    """Logits of a text or of a pair of texts."""

    output: ClassVar[Output] = Output.LOGITS


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """Logits of the tokens that could answer a prompt, as a causal language model predicts them.

    A pair is relevant with the probability of the last of them: softmax over all.
    """

    output: ClassVar[Output] = Output.LOGITS
    tokens: tuple[str, ...] = ("no", "yes")


@dataclass(frozen=True, slots=True)
class TokenClassificationHead:
    """Logits of each token."""

    output: ClassVar[Output] = Output.TOKEN_LOGITS


@dataclass(frozen=True, slots=True)
class SpanHead:
    """Logits of spans of words against labels that the input brings (GLiNER)."""

    output: ClassVar[Output] = Output.SPAN_LOGITS


Head = (
    DenseHead
    | SpladeHead
    | TokenWeightsHead
    | MultivectorHead
    | AnswerHead
    | SequenceClassificationHead
    | TokenClassificationHead
    | SpanHead
)


_BY_ARCHITECTURE: dict[str, Head] = {
    "ForCausalLM": AnswerHead(),
    "ForSequenceClassification": SequenceClassificationHead(),
    "ForTokenClassification": TokenClassificationHead(),
    "ForMaskedLM": SpladeHead(),
}


def architecture_of(config: Config) -> str:
    """Return the class that config.json names, or "" where it names none."""
    named = config.values.get("architectures")
    return str(named[0]) if named else ""


def heads_of(root: Path, modules: tuple[Module, ...], config: Config) -> tuple[Head, ...]:
    """Decide what a checkpoint answers with; the first is its default.

    Args:
        root: the checkpoint's directory.
        modules: its modules.json.
        config: its config.json.

    """
    paths = {module.kind: module.path for module in modules}
    architecture = architecture_of(config)
    if config.path.name == SPAN_CONFIG:
        return (SpanHead(),)
    if architecture == "HF_ColBERT":
        return (MultivectorHead(),)
    if "SpladePooling" in paths:
        return (_splade(root / paths["SpladePooling"] / "config.json"),)
    if MASK in paths:
        _require_token_vectors(root, paths)
    if "Dense" in paths and "Pooling" not in paths:
        return (MultivectorHead(_projections(root, modules)),)
    # Cross-encoders of later releases have a modules.json too, with nothing but the transformer.
    if "Pooling" not in paths:
        for suffix, head in _BY_ARCHITECTURE.items():
            if architecture.endswith(suffix):
                return (head,)
    dense = DenseHead(
        _pooling(root, paths.get("Pooling")), _projections(root, modules), "Normalize" in paths
    )
    return (dense, *_bge_m3(root))


def _require_token_vectors(root: Path, paths: Mapping[str, str]) -> None:
    """Refuse what a MultiVectorEncoder may be besides a projection of tokens to length 1."""
    path = root / "modules.json"
    if "Dense" not in paths or "Normalize" not in paths or "Pooling" in paths:
        raise CheckpointError(path, "MultiVectorMask is not supported but with Dense and Normalize")
    config = Config.read_optional(root / paths["Normalize"] / "config.json")
    if config.text("module_input_name", default="sentence_embedding") != "token_embeddings":
        raise CheckpointError(
            config.path, "token vectors as they are, not of length 1, are not supported"
        )


def head_files(root: Path, heads: tuple[Head, ...]) -> list[Path]:
    """Return the weights files that the heads have beside the encoder's."""
    projections: list[Projection] = []
    for head in heads:
        match head:
            case DenseHead() | MultivectorHead():
                projections += head.projections
            case TokenWeightsHead():
                projections.append(head.projection)
    return [file for each in projections for file in weight_files(root / each.directory, each.stem)]


def _bge_m3(root: Path) -> tuple[Head, ...]:
    sparse, colbert = "sparse_linear", "colbert_linear"
    if not all(any(root.glob(f"{stem}.*")) for stem in (sparse, colbert)):
        return ()
    return (
        TokenWeightsHead(Projection("", sparse, "", "relu")),
        MultivectorHead((Projection("", colbert, "", "identity"),), marked=False),
    )


def _splade(path: Path) -> SpladeHead:
    config = Config.read(path)
    pooling = config.text("pooling_strategy", default="max")
    activation = config.text("activation_function", default="relu")
    logarithms = {"relu": 1, "log1p_relu": 2}.get(activation)
    if logarithms is None or pooling not in {"max", "sum"}:
        raise CheckpointError(path, f"{activation} with {pooling} pooling is not supported")
    return SpladeHead(pooling, logarithms)


def _projections(root: Path, modules: tuple[Module, ...]) -> tuple[Projection, ...]:
    pooled = any(module.kind == "Pooling" for module in modules)
    reads = "sentence_embedding" if pooled else "token_embeddings"
    return tuple(
        _projection(root, module.path, reads) for module in modules if module.kind == "Dense"
    )


def _projection(root: Path, path: str, reads: str) -> Projection:
    """Read a Dense module that takes `reads` and puts its result in the same place."""
    config = Config.read(root / path / "config.json")
    if config.flag("use_residual", default=False):
        raise CheckpointError(config.path, "use_residual is not supported")
    for entry in ("module_input_name", "module_output_name"):
        if (named := config.text(entry, default=reads)) != reads:
            raise CheckpointError(config.path, f"{entry} {named} is not supported here")
    # A dotted class name, such as torch.nn.modules.activation.Tanh.
    named = config.text("activation_function", default="Identity")
    return Projection(path, "model", "linear", named.rpartition(".")[2].lower())


def _pooling(root: Path, path: str | None) -> Pooling:
    """Read either spelling: one flag a mode, or `pooling_mode` with the mode's name."""
    if path is None:
        return Pooling.MEAN
    config = Config.read(root / path / "config.json")
    if config.values.get("include_prompt") is False:
        raise CheckpointError(config.path, "pooling without the prompt is not supported")
    mode = _pooling_mode(config.values)
    try:
        return Pooling(mode)
    except ValueError:
        raise CheckpointError(config.path, f"pooling mode {mode} is not supported") from None


def _pooling_mode(values: dict[str, Any]) -> str:
    named = values.get("pooling_mode")
    if named is not None:
        return str(named).removesuffix("_tokens")
    flags = [
        name.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
        for name, value in values.items()
        if name.startswith("pooling_mode_") and value is True
    ]
    return "+".join(flags) or "none"
