"""What an encoder family gives and takes: the seam between bodies and heads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from worker.checkpoint.config import CheckpointError, Config
from worker.checkpoint.heads import Pooling
from worker.compiler.packed import Packing
from worker.compiler.parameters import Parameters


@dataclass(frozen=True, slots=True)
class Tokens:
    """The inputs of a graph.

    Attributes:
        ids: (rows, tokens) int32, right-padded.
        lengths: (rows,) int32, how many tokens of each row can be attended to.
        types: (rows, tokens) int32, which text of a pair a token belongs to; None where the
            model is not told.
        max_length: the longest text that the graph must take.
        packing: where several texts share a row; None where each has its own.

    """

    ids: str
    lengths: str
    types: str | None
    max_length: int
    packing: Packing | None = None

    def require_positions(self, places: int, config: Config) -> None:
        """Raise CheckpointError if a table of positions is shorter than the longest row."""
        if self.max_length > places:
            raise CheckpointError(
                config.path, f"has {places} positions, too few for inputs of {self.max_length}"
            )


class Hidden(NamedTuple):
    """The last hidden state: `states` is (rows, tokens, size) float32."""

    states: str
    size: int


Body = Callable[[Parameters, Config, Tokens], Hidden]
"""Adds an encoder to the graph of `Parameters`, which stand below the encoder's own prefix."""


@dataclass(frozen=True, slots=True)
class Classifier:
    """Names and steps between the encoder and a linear layer over labels or words.

    Attributes:
        out: the last linear layer.
        decoder: that layer's weight in a masked language model whose word vectors do not serve.
        dense: a linear layer before it; empty where there is none.
        activation: what follows `dense`.
        activation_entry: the entry of config.json that overrides `activation`.
        norm: a layer normalisation after the activation; empty where there is none.
        below_prefix: whether `dense` lies with the encoder, as a pooler does.
        epsilon: of the norm, where config.json is silent.
        pooling: which state stands for a sequence where `classifier_pooling` is silent.

    """

    out: str
    decoder: str = ""
    dense: str = ""
    activation: str = "tanh"
    activation_entry: str = ""
    norm: str = ""
    below_prefix: bool = False
    epsilon: float = 1e-12
    pooling: Pooling = Pooling.CLS


@dataclass(frozen=True, slots=True)
class Family:
    """A family of architectures: its encoder, and how it spells its heads.

    Attributes:
        body: the encoder.
        prefix: what the names of the encoder's tensors begin with beside a head.
        words: the token vectors, below the prefix.
        sequence: the head of ...ForSequenceClassification, if supported.
        token: the head of ...ForTokenClassification, if supported.
        masked_lm: the head of ...ForMaskedLM, if supported; `out` is the bias of its decoder,
            whose weight are the token vectors.
        causal_lm: the weight of the head of ...ForCausalLM, if supported; where it is absent it
            is the token vectors.
        packs: whether the body heeds `Tokens.packing`.
        other_prefix: what `transformers` has for `prefix` where the first release differs.

    """

    body: Body
    prefix: str
    words: str
    sequence: Classifier | None = None
    token: Classifier | None = None
    masked_lm: Classifier | None = None
    causal_lm: str = ""
    packs: bool = False
    other_prefix: str = ""
