"""Classes of whole texts: labels of a request judged by entailment, or a model's own.

A model of natural language inference is asked whether a text entails `This example is {label}.`
(Yin et al., 2019). Its classes are told by their names, since published models order them
differently: entailment, and contradiction or not_entailment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from servicekit.errors import invalid
from sie.inference.v1.result_pb2 import ExtractResult
from worker.extraction.probabilities import sigmoid, softmax
from worker.extraction.settings import ExtractSettings
from worker.heads import Output
from worker.tokenizer import TokenizedText, Tokenizer

_FOR = "entail"
_AGAINST = ("contradict", "not_entail", "not-entail", "not entail")


@dataclass(slots=True)
class ClassReading:
    """A text with a score for each label.

    Attributes:
        inputs: see Reading.inputs.
        reader: who weighs the answers.
        answers: logits (classes,) by input.

    """

    inputs: Sequence[TokenizedText]
    reader: ZeroShotReader | ClassReader
    answers: dict[int, NDArray[np.float32]] = field(default_factory=dict)

    def take(self, index: int, logits: NDArray[np.float32]) -> None:
        """See Reading.take."""
        self.answers[index] = logits

    def write(self, result: ExtractResult) -> None:
        """See Reading.write."""
        settings = self.reader.settings
        logits = np.stack([self.answers[index] for index in range(len(self.inputs))])
        scores = self.reader.scores(logits)
        for place in np.argsort(-scores, kind="stable"):
            if scores[place] >= (settings.threshold or 0.0):
                label = self.reader.labels[place]
                result.classifications.add(label=label, score=float(scores[place]))


@dataclass(frozen=True, slots=True)
class ZeroShotReader:
    """Asks an inference model about each of the request's labels.

    Attributes:
        tokenizer: the model's.
        classes: what the logits stand for.
        settings: the request's.

    """

    tokenizer: Tokenizer
    classes: tuple[str, ...]
    settings: ExtractSettings
    output: Output = Output.LOGITS

    def __post_init__(self) -> None:
        """Raise SieError if there are no labels."""
        self.settings.require_labels()

    @property
    def labels(self) -> tuple[str, ...]:
        """What the scores stand for."""
        return self.settings.labels

    def read(self, texts: Sequence[str]) -> list[ClassReading]:
        """See Reader.read."""
        template = self.settings.template
        # Not str.format, which would read attributes of what stands in braces.
        hypotheses = [template.replace("{}", label) for label in self.labels]
        return [
            ClassReading(self.tokenizer.encode_pairs([(text, each) for each in hypotheses]), self)
            for text in texts
        ]

    def scores(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Weigh labels against each other, or each against its contradiction.

        Args:
            logits: (labels, classes).

        """
        entailed = logits[:, entailment(self.classes)]
        if not self.settings.multi_label and len(logits) > 1:
            return softmax(entailed)
        return sigmoid(entailed - logits[:, _contradiction(self.classes)])


@dataclass(frozen=True, slots=True)
class ClassReader:
    """Reads texts for the classes of a model that has its own.

    Attributes:
        tokenizer: the model's.
        classes: what the logits stand for.
        settings: the request's.

    """

    tokenizer: Tokenizer
    classes: tuple[str, ...]
    settings: ExtractSettings
    output: Output = Output.LOGITS

    def __post_init__(self) -> None:
        """Raise SieError if a label is asked for that the model does not know."""
        require_known(self.settings.labels, self.classes)

    @property
    def labels(self) -> tuple[str, ...]:
        """What the scores stand for."""
        return self.settings.labels or self.classes

    def read(self, texts: Sequence[str]) -> list[ClassReading]:
        """See Reader.read."""
        return [ClassReading([tokens], self) for tokens in self.tokenizer.encode(texts)]

    def scores(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the shares of the wanted classes; `logits` are (1, classes)."""
        shares = sigmoid(logits[0]) if self.settings.multi_label else softmax(logits[0])
        return shares[[self.classes.index(label) for label in self.labels]]


def require_known(labels: Sequence[str], known: Sequence[str]) -> None:
    """Raise SieError if a label of a request is none of the model's."""
    for index, label in enumerate(labels):
        if label not in known:
            problem = f"the model does not know '{label}'; it knows {', '.join(known)}"
            raise invalid(f"params.labels[{index}]", problem)


def entailment(classes: Sequence[str]) -> int | None:
    """Return which class says that a text entails another; None where none does."""
    found = [number for number, name in enumerate(classes) if name.lower().startswith(_FOR)]
    return found[0] if found else None


def _contradiction(classes: Sequence[str]) -> int:
    named = [number for number, name in enumerate(classes) if name.lower().startswith(_AGAINST)]
    others = [number for number in range(len(classes)) if number != entailment(classes)]
    return (named or others)[0]
