"""Why a model cannot be loaded, and whether trying again may help.

class         what happened                               tried again
GATED         the source wants credentials                when the definition changes
NOT_FOUND     no source has the model                     when the definition changes
CHECKPOINT    files are corrupt, or not what was stated   when the definition changes
UNSUPPORTED   the model asks for what no engine does      when the definition changes
UNKNOWN       anything else                               when the definition changes
OOM           it does not fit into memory                 after a minute
NETWORK       the source cannot be reached                after half a minute
"""

from __future__ import annotations

from enum import StrEnum

from servicekit.errors import SieError
from sie.errors.v1.error_reason_pb2 import ErrorReason
from worker.checkpoint.config import CheckpointError
from worker.engine import NoEngineError, is_out_of_memory


class ErrorClass(StrEnum):
    """`error_class` in the metadata of MODEL_LOAD_FAILED."""

    GATED = "GATED"
    NOT_FOUND = "NOT_FOUND"
    CHECKPOINT = "CHECKPOINT"
    UNSUPPORTED = "UNSUPPORTED"
    OOM = "OOM"
    NETWORK = "NETWORK"
    UNKNOWN = "UNKNOWN"


RETRY_AFTER_S = {ErrorClass.OOM: 60.0, ErrorClass.NETWORK: 30.0}
"""Classes that may pass by themselves."""


class LoadError(Exception):
    """A model cannot be loaded, for a reason that is known."""

    def __init__(self, problem: str, error_class: ErrorClass) -> None:
        super().__init__(problem)
        self.error_class = error_class


def class_of(error: BaseException) -> ErrorClass:
    """Return the class of whatever a load raised."""
    if isinstance(error, LoadError):
        return error.error_class
    if isinstance(error, CheckpointError):
        # Every reader of checkpoints says so in these words.
        unsupported = "not supported" in error.problem or "unsupported" in error.problem
        return ErrorClass.UNSUPPORTED if unsupported else ErrorClass.CHECKPOINT
    if isinstance(error, NoEngineError):
        return ErrorClass.UNSUPPORTED
    return ErrorClass.OOM if is_out_of_memory(error) else ErrorClass.UNKNOWN


def load_failed(model_id: str, error: BaseException, attempts: int) -> SieError:
    """Return what callers are told.

    Args:
        model_id: the model.
        error: what the load raised.
        attempts: how often this definition has been tried, this time included.

    """
    error_class = class_of(error)
    retry_after_s = RETRY_AFTER_S.get(error_class)
    return SieError(
        ErrorReason.ERROR_REASON_MODEL_LOAD_FAILED,
        f"model '{model_id}' could not be loaded: {error or type(error).__name__}",
        retry_after_s=retry_after_s,
        model=model_id,
        error_class=error_class,
        attempts=attempts,
        permanent="false" if retry_after_s else "true",
    )
