"""What the logits of a pair say about its relevance, decided from the checkpoint in this place.

one label, activation Identity       the logit as it is: the published ms-marco rerankers
one label, Sigmoid or none stated    a probability, as sentence-transformers' CrossEncoder has it
no and yes of a language model       the probability of yes, softmax over both
several labels                       nothing: the model classifies
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sie.inference.v1.result_pb2 import ScoreKind
from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.config import CheckpointError, Config
from worker.checkpoint.heads import AnswerHead, Output


class Relevance(Enum):
    """How a score is made of a pair's logits."""

    LOGIT = "logit"
    SIGMOID = "sigmoid"
    LAST_OF_SOFTMAX = "last of softmax"
    LOG_ODDS = "log odds of the last"

    @property
    def kind(self) -> ScoreKind:
        """What the score measures."""
        if self is self.raw:
            return ScoreKind.SCORE_KIND_LOGIT
        return ScoreKind.SCORE_KIND_PROBABILITY

    @property
    def raw(self) -> Relevance:
        """The same without a last step to probabilities; its sigmoid is the probability."""
        chooses = self in (Relevance.LAST_OF_SOFTMAX, Relevance.LOG_ODDS)
        return Relevance.LOG_ODDS if chooses else Relevance.LOGIT

    def score(self, logits: NDArray[np.float32]) -> float:
        """Return the score of a pair, from its logits (labels,)."""
        return _SCORES[self](logits.astype(np.float64))


def relevance_of(checkpoint: Checkpoint, labels: int) -> Relevance | None:
    """Return how a checkpoint with so many labels scores pairs, or None if it does not.

    Raises:
        CheckpointError: it asks for an activation that is not supported.

    """
    heads = [head for head in checkpoint.heads if head.output == Output.LOGITS]
    if any(isinstance(head, AnswerHead) for head in heads):
        return Relevance.LAST_OF_SOFTMAX
    if not heads or labels != 1:
        return None
    return _by_activation(checkpoint.root, checkpoint.config)


def _by_activation(root: Path, config: Config) -> Relevance:
    """Read a dotted class name, such as torch.nn.modules.linear.Identity, in three spellings."""
    oldest = config.text("sbert_ce_default_activation_function", default="Sigmoid")
    older = config.below("sentence_transformers").text("activation_fn", default=oldest)
    latest = Config.read_optional(root / "config_sentence_transformers.json")
    named = latest.text("activation_fn", default=older)
    try:
        return _ACTIVATIONS[named.rpartition(".")[2]]
    except KeyError:
        raise CheckpointError(config.path, f"activation {named} is not supported") from None


def _sigmoid(logits: NDArray[np.float64]) -> float:
    # The form that does not overflow on either side.
    return float(0.5 * (1 + np.tanh(0.5 * logits[0])))


def _last_of_softmax(logits: NDArray[np.float64]) -> float:
    exponents = np.exp(logits - logits.max())
    return float(exponents[-1] / exponents.sum())


def _log_odds(logits: NDArray[np.float64]) -> float:
    return float(logits[-1] - np.logaddexp.reduce(logits[:-1]))


_ACTIVATIONS = {"Identity": Relevance.LOGIT, "Sigmoid": Relevance.SIGMOID}
_SCORES: Mapping[Relevance, Callable[[NDArray[np.float64]], float]] = {
    Relevance.LOGIT: lambda logits: float(logits[0]),
    Relevance.SIGMOID: _sigmoid,
    Relevance.LAST_OF_SOFTMAX: _last_of_softmax,
    Relevance.LOG_ODDS: _log_odds,
}
