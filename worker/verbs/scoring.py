"""Which way a model scores, decided from its outputs and its declared tasks in this one place.

logits of one label, or of no and yes     pairs
token vectors, unless not declared        how near they are, by MaxSim
a dense vector                            how near they are, by cosine
"""

from __future__ import annotations

from servicekit.errors import SieError
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.registry.v1.model_pb2 import Model
from worker.checkpoint.heads import Output
from worker.hosting.loading import LoadedModel
from worker.queue.delivery import Delivery
from worker.verbs.job import Job
from worker.verbs.score_pairs import PairScoreJob
from worker.verbs.score_vectors import VectorScoreJob


def score_job(delivery: Delivery, model: Model, loaded: LoadedModel) -> Job:
    """Return the job for a Score work item.

    Raises:
        SieError: the model has no way to score, or the request asks for what it does not give.

    """
    if loaded.relevance is not None:
        wanted = loaded.relevance.raw if delivery.item.score.raw_scores else loaded.relevance
        return PairScoreJob(delivery, model, loaded, wanted)
    output = _compared(model, loaded)
    if output is not None:
        return VectorScoreJob(delivery, model, loaded, output)
    raise SieError(
        ErrorReason.ERROR_REASON_UNSUPPORTED_OUTPUT,
        f"model '{model.model_id}' does not score pairs",
        model=model.model_id,
        field="model",
        supported=",".join(loaded.sizes),
    )


def can_score(model: Model, loaded: LoadedModel) -> bool:
    """Return whether there is a way."""
    return loaded.relevance is not None or _compared(model, loaded) is not None


def _compared(model: Model, loaded: LoadedModel) -> Output | None:
    """Return the vectors to compare: token vectors before dense ones, declared ones only."""
    encode = model.tasks.encode
    given = [output for output in (Output.MULTIVECTOR, Output.DENSE) if output in loaded.sizes]
    declared = [output for output in given if encode.HasField(output.value)]
    return next(iter(declared or given), None)
