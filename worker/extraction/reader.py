"""Which way of reading a model needs, decided from what it answers with."""

from __future__ import annotations

from servicekit.errors import SieError, invalid
from sie.errors.v1.error_reason_pb2 import ErrorReason
from worker.checkpoint.heads import Output
from worker.extraction.classes import ClassReader
from worker.extraction.gliner_prompt import GlinerTokenizer
from worker.extraction.gliner_spans import GlinerReader
from worker.extraction.reading import Reader
from worker.extraction.settings import ExtractSettings
from worker.extraction.token_classes import TokenClassReader
from worker.extraction.zero_shot import ZeroShotReader, entailment
from worker.hosting.loading import LoadedModel


def reader_of(loaded: LoadedModel, settings: ExtractSettings, model_id: str) -> Reader:
    """Return how the items of a request are read.

    Raises:
        SieError: the labels are missing or unknown, the model does not extract, or it has no logits
            to give.

    """
    tokenizer, classes = loaded.tokenizer, loaded.labels
    if settings.raw_scores and not _has_classes_of_texts(loaded):
        raise invalid("params.raw_scores", "the model has no classes of whole texts")
    if isinstance(tokenizer, GlinerTokenizer):
        return GlinerReader(tokenizer, settings)
    if Output.TOKEN_LOGITS in loaded.sizes:
        return TokenClassReader(tokenizer, loaded.max_length, classes, settings)
    if Output.LOGITS in loaded.sizes and entailment(classes) is not None:
        return ZeroShotReader(tokenizer, loaded.max_length, classes, settings)
    if _has_classes_of_texts(loaded):
        return ClassReader(tokenizer, classes, settings)
    raise SieError(
        ErrorReason.ERROR_REASON_UNSUPPORTED_OUTPUT,
        f"model '{model_id}' does not extract",
        model=model_id,
        field="model",
        supported="",
    )


def _has_classes_of_texts(loaded: LoadedModel) -> bool:
    classes = loaded.labels
    return loaded.sizes.get(Output.LOGITS) == len(classes) > 1 and entailment(classes) is None
