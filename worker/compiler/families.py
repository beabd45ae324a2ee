"""Which architectures are compiled: class names of `transformers`, less what names the head."""

from __future__ import annotations

from worker.checkpoint.config import CheckpointError, Config
from worker.checkpoint.heads import architecture_of
from worker.compiler.bert import BERT, ROBERTA
from worker.compiler.body import Family
from worker.compiler.deberta import DEBERTA_V2
from worker.compiler.decoder import MISTRAL, QWEN2, QWEN3
from worker.compiler.distilbert import DISTILBERT
from worker.compiler.dual import DUALS
from worker.compiler.gte import GTE
from worker.compiler.modernbert import MODERNBERT
from worker.compiler.mpnet import MPNET
from worker.compiler.nomic import NOMIC

FAMILIES: dict[str, Family] = {
    "Bert": BERT,
    "DebertaV2": DEBERTA_V2,
    "Mistral": MISTRAL,
    "Qwen2": QWEN2,
    "Qwen3": QWEN3,
    "Roberta": ROBERTA,
    "XLMRoberta": ROBERTA,
    "DistilBert": DISTILBERT,
    "MPNet": MPNET,
    "ModernBert": MODERNBERT,
    "NomicBert": NOMIC,
    "Gte": GTE,
    "New": GTE,
}

# For a config.json that names no architecture, or one that names only the head.
_BY_MODEL_TYPE = {
    "bert": "Bert",
    "deberta-v2": "DebertaV2",
    "mistral": "Mistral",
    "qwen2": "Qwen2",
    "qwen3": "Qwen3",
    "roberta": "Roberta",
    "xlm-roberta": "XLMRoberta",
    "distilbert": "DistilBert",
    "mpnet": "MPNet",
    "modernbert": "ModernBert",
    "nomic_bert": "NomicBert",
    "gte": "Gte",
    "new": "New",
}

_SUFFIXES = ("Model", "ForPreTraining")


class UnsupportedArchitectureError(CheckpointError):
    """No family compiles the architecture that config.json names."""

    def __init__(self, config: Config, architecture: str) -> None:
        named = ", ".join(sorted([*_supported(), *DUALS]))
        super().__init__(
            config.path, f"architecture {architecture} is not supported; supported are {named}"
        )
        self.architecture = architecture


def family_of(config: Config) -> Family:
    """Raise UnsupportedArchitectureError if none compiles what config.json names."""
    architecture = architecture_of(config)
    if architecture in {"", "HF_ColBERT"}:
        model_type = config.text("model_type", default="(none)")
        stem = _BY_MODEL_TYPE.get(model_type)
        architecture = f"{stem}Model" if stem else model_type
    family = _supported().get(architecture)
    if family is None:
        raise UnsupportedArchitectureError(config, architecture)
    return family


def _supported() -> dict[str, Family]:
    """Return the families by every architecture they compile."""
    return {
        stem + suffix: family
        for stem, family in FAMILIES.items()
        for suffix in (*_SUFFIXES, *_heads(family))
    }


def _heads(family: Family) -> list[str]:
    given = {
        "ForCausalLM": family.causal_lm or None,
        "ForMaskedLM": family.masked_lm,
        "ForSequenceClassification": family.sequence,
        "ForTokenClassification": family.token,
    }
    return [suffix for suffix, head in given.items() if head is not None]
