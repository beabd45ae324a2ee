"""The golden checkpoints: one table of what each answers with, and how it is read."""

import functools
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from worker.checkpoint.checkpoint import Checkpoint
from worker.engine import TokenBatch

GOLDEN = Path(__file__).parents[2] / "golden"

HIDDEN = 1e-4
"""Tolerance of hidden states, logits, and vectors that are not of length 1."""
UNIT = 1e-5
"""Tolerance of vectors of length 1."""
SPLADE = 2e-4
"""Tolerance of weights over the vocabulary."""


@dataclass(frozen=True)
class Golden:
    """A golden folder.

    Attributes:
        name: of the folder.
        outputs: for each output of the model the array it must equal, and the tolerance.
        skipped: tokens at the beginning of a row that the reference of a multivector lacks.

    """

    name: str
    outputs: dict[str, tuple[str, float]] = field(hash=False)
    skipped: int = 0

    def __str__(self) -> str:
        return self.name

    @property
    def directory(self) -> Path:
        return GOLDEN / self.name

    @property
    def inputs(self) -> dict:
        return json.loads((self.directory / "inputs.json").read_bytes())

    @property
    def reference(self) -> dict[str, np.ndarray]:
        return _arrays(self.directory / "reference.npz")


@functools.cache
def _arrays(path: Path) -> dict[str, np.ndarray]:
    return dict(np.load(path))


UNIT_DENSE = {"dense": ("embeddings", UNIT)}
DENSE = {"dense": ("embeddings", HIDDEN)}
LOGITS = {"logits": ("logits", HIDDEN)}
SPARSE = {"sparse": ("sparse", SPLADE)}

TEXTS = [
    Golden("bert_mean", UNIT_DENSE),
    Golden("bert_cls", UNIT_DENSE),
    Golden("bert_xlmr_tokenizer", DENSE),
    Golden("roberta_mean", UNIT_DENSE),
    Golden("xlmr_mean", UNIT_DENSE),
    Golden("mpnet", UNIT_DENSE),
    Golden("distilbert", DENSE),
    Golden("distilbert_dense", DENSE),
    Golden("modernbert_mean", UNIT_DENSE),
    Golden("modernbert_cls", DENSE),
    Golden("nomic_bert", DENSE),
    Golden("gte_new", UNIT_DENSE),
    Golden("deberta_v3", UNIT_DENSE),
    Golden("qwen2_embedding", UNIT_DENSE),
    Golden("qwen3_embedding", UNIT_DENSE),
    Golden("e5_mistral", UNIT_DENSE),
    Golden("splade_bert", SPARSE),
    Golden("splade_distilbert", SPARSE),
    Golden(
        "bge_m3",
        {
            "dense": ("dense", UNIT),
            "token_weights": ("token_weights", HIDDEN),
            "multivector": ("colbert", UNIT),
        },
        skipped=1,
    ),
    Golden("bert_ner", {"token_logits": ("logits", HIDDEN)}),
]
PAIRS = [
    Golden("bert_cross_encoder", LOGITS),
    Golden("bert_nli", LOGITS),
    Golden("xlmr_reranker", LOGITS),
    Golden("modernbert_reranker", LOGITS),
    Golden("deberta_v3_nli", LOGITS),
]
COLBERT = Golden("colbert", {"multivector": ("doc_vectors", UNIT)})

ALL = [*TEXTS, *PAIRS]


@dataclass(frozen=True)
class Rows:
    """The reference's own token ids, each (tokens,) int32."""

    ids: list[np.ndarray]
    type_ids: list[np.ndarray] | None

    @classmethod
    def of(cls, golden: Golden) -> "Rows":
        reference = golden.reference
        mask = reference["attention_mask"] == 1
        told = Checkpoint.open(golden.directory).reads_type_ids
        return cls(
            _cut(reference["input_ids"], mask),
            _cut(reference["token_type_ids"], mask) if told else None,
        )

    def batch(self, *indices: int) -> TokenBatch:
        """Pack those rows, or all."""
        chosen = indices or range(len(self.ids))
        types = None if self.type_ids is None else [self.type_ids[i] for i in chosen]
        return TokenBatch.pack([self.ids[i] for i in chosen], type_ids=types)


def assert_agrees(golden: Golden, answers, index: int, row: int, tokens: int) -> None:
    """Compare a row of the answers with the reference's entry `index`, of that many tokens."""
    for output, (array, tolerance) in golden.outputs.items():
        answer, expected = answers[output][row], golden.reference[array][index]
        assert answer.dtype == np.float32
        if output in {"token_weights", "multivector", "token_logits"}:
            first = golden.skipped if output == "multivector" else 0
            answer, expected = answer[first:tokens], expected[: tokens - first]
        np.testing.assert_allclose(answer, expected, atol=tolerance, rtol=0)


def _cut(rows: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
    return [row[real].astype(np.int32) for row, real in zip(rows, mask, strict=True)]


def edit(path: Path, **values: object) -> None:
    """Change values of a JSON file in a copy of a folder."""
    path.write_text(json.dumps(json.loads(path.read_bytes()) | values))
