"""Which job answers which verb."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sie.registry.v1.model_pb2 import Model
from worker.delivery import Delivery
from worker.encode import EncodeJob
from worker.extract import ExtractJob
from worker.job import Job
from worker.loading import LoadedModel
from worker.scoring import score_job
from worker.tokenize import TokenizeJob

# By the field of the work item that holds the request.
JOBS: Mapping[str, Callable[[Delivery, Model, LoadedModel], Job]] = {
    "encode": EncodeJob,
    "extract": ExtractJob,
    "score": score_job,
    "tokenize": TokenizeJob,
}
