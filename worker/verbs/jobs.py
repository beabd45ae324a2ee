"""Which job answers which verb."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from servicekit.errors import SieError
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.registry.v1.model_pb2 import Model
from worker.hosting.loading import LoadedModel
from worker.queue.delivery import Delivery
from worker.verbs.encode import EncodeJob
from worker.verbs.extract import ExtractJob
from worker.verbs.job import Job
from worker.verbs.scoring import score_job
from worker.verbs.tokenize import TokenizeJob

# By the field of the work item that holds the request.
_JOBS: Mapping[str, Callable[[Delivery, Model, LoadedModel], Job]] = {
    "encode": EncodeJob,
    "extract": ExtractJob,
    "score": score_job,
    "tokenize": TokenizeJob,
}


def job_of(model: Model, loaded: LoadedModel, delivery: Delivery) -> Job:
    """Return the job of a work item.

    Raises:
        SieError: NOT_IMPLEMENTED; the model does not do what is asked.

    """
    verb = delivery.item.WhichOneof("request")
    if verb in _JOBS and verb in loaded.verbs:
        return _JOBS[verb](delivery, model, loaded)
    raise SieError(
        ErrorReason.ERROR_REASON_NOT_IMPLEMENTED,
        f"this worker has no engine for '{verb}'",
        method=verb,
    )
