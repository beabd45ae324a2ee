"""Labels of a request, judged by entailment.

A model of natural language inference is asked whether a text entails `This example is {label}.`
(Yin et al., 2019). Its classes are told by their names, since published models order them
differently: entailment, and contradiction or not_entailment.

A text too long to stand beside the longest hypothesis is read in windows, each beside every
hypothesis. What entails a label may stand in one sentence, and windows about something else say
nothing against it, so a label has what its best window gives:

    score(label) = squash(max over windows of evidence(window, label))

                  evidence                        squash
    multi_label   entailment - contradiction      sigmoid
    single        entailment                      softmax over the labels

Evidence is logits. A text of one window has the scores that it has without windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sie.inference.v1.result_pb2 import ExtractResult
from worker.checkpoint.heads import Output
from worker.extraction.classes import add_classes
from worker.extraction.probabilities import sigmoid, softmax
from worker.extraction.reading import Refused
from worker.extraction.settings import ExtractSettings
from worker.extraction.windows import LEAST_SHARE, windows
from worker.texts.tokenizer import TokenizedText, Tokenizer

_FOR = "entail"
_AGAINST = ("contradict", "not_entail", "not-entail", "not entail")

# What a text in windows may have the engine read, over all of its labels: a book beside a few of
# them, not beside hundreds.
MAX_TOKENS = 1 << 20
# Twice what a token is of most languages. A text of more for each token it may have is refused
# before it is tokenised, which takes seconds for some megabytes.
_CHARACTERS_PER_TOKEN = 8


class ZeroShotReading:
    """A text beside each label.

    Args:
        inputs: each window beside every label, then the next window.
        reader: who weighs the answers.

    """

    def __init__(self, inputs: Sequence[TokenizedText], reader: ZeroShotReader) -> None:
        self.inputs = inputs
        self._reader = reader
        self._evidence = np.zeros(len(inputs), dtype=np.float32)

    def take(self, index: int, logits: NDArray[np.float32]) -> None:
        """See Reading.take."""
        self._evidence[index] = self._reader.evidence(logits)

    def write(self, result: ExtractResult) -> None:
        """See Reading.write."""
        settings = self._reader.settings
        by_window = self._evidence.reshape(-1, len(settings.labels))
        add_classes(result, settings.labels, self._reader.scores(by_window), settings.threshold)


@dataclass(frozen=True, slots=True)
class ZeroShotReader:
    """Asks an inference model about each of the request's labels.

    Attributes:
        tokenizer: the model's.
        max_length: the longest input, in tokens.
        classes: what the logits stand for.
        settings: the request's.

    """

    tokenizer: Tokenizer
    max_length: int
    classes: tuple[str, ...]
    settings: ExtractSettings
    output: Output = Output.LOGITS

    def __post_init__(self) -> None:
        """Raise SieError if there are no labels."""
        self.settings.require_labels()

    def read(self, texts: Sequence[str]) -> list[ZeroShotReading | Refused]:
        """See Reader.read."""
        whole, template = self.tokenizer.whole, self.settings.template
        # Not str.format, which would read attributes of what stands in braces.
        sentences = [template.replace("{}", label) for label in self.settings.labels]
        hypotheses = whole.ids(sentences)
        most = MAX_TOKENS // len(hypotheses) * _CHARACTERS_PER_TOKEN
        read = iter(whole.ids([text for text in texts if len(text) <= most]))
        return [
            self._read(next(read), hypotheses)
            if len(text) <= most
            else Refused(f"longer than the {most} characters read beside {len(hypotheses)} labels")
            for text in texts
        ]

    def _read(
        self, text: NDArray[np.int32], hypotheses: Sequence[NDArray[np.int32]]
    ) -> ZeroShotReading | Refused:
        longest = max(map(len, hypotheses)) + self.tokenizer.whole.pair_frame.tokens
        room = self.max_length - longest
        if len(text) <= room:
            parts = [range(len(text))]
        elif room < self.max_length * LEAST_SHARE:
            taken = f"which takes {longest} of the {self.max_length} tokens that the model reads"
            return Refused(f"does not fit beside the longest label, {taken}")
        else:
            parts = windows(np.ones(len(text), dtype=np.int64), room)
            read = (sum(map(len, parts)) + longest * len(parts)) * len(hypotheses)
            if read > MAX_TOKENS:
                asked = f"beside {len(hypotheses)} labels are {read} tokens to read"
                return Refused(f"its {len(parts)} windows {asked}, and at most {MAX_TOKENS} are")
        inputs = [
            self.tokenizer.frame_pair(text[part.start : part.stop], hypothesis)
            for part in parts
            for hypothesis in hypotheses
        ]
        return ZeroShotReading(inputs, self)

    def evidence(self, logits: NDArray[np.float32]) -> np.float32:
        """Return what speaks for a label, of the logits (classes,) of a text beside it."""
        against = 0 if self._compares else logits[_contradiction(self.classes)]
        return np.float32(logits[entailment(self.classes)] - against)

    def scores(self, evidence: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the scores (labels,) of evidence (windows, labels)."""
        best: NDArray[np.float32] = evidence.max(axis=0)
        return softmax(best) if self._compares else sigmoid(best)

    @property
    def _compares(self) -> bool:
        """Whether labels are weighed against each other, or each against its contradiction."""
        return not self.settings.multi_label and len(self.settings.labels) > 1


def entailment(classes: Sequence[str]) -> int | None:
    """Return which class says that a text entails another; None where none does."""
    found = [number for number, name in enumerate(classes) if name.lower().startswith(_FOR)]
    return found[0] if found else None


def _contradiction(classes: Sequence[str]) -> int:
    named = [number for number, name in enumerate(classes) if name.lower().startswith(_AGAINST)]
    others = [number for number in range(len(classes)) if number != entailment(classes)]
    return (named or others)[0]
