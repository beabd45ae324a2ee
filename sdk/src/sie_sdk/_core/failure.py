"""A failed attempt, whichever wire it came over, and the exception that it becomes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from sie_sdk import errors


class Kind(Enum):
    """What happened to an attempt."""

    # The server answered, with an error.
    ANSWER = "answer"
    # Nobody was reached, or the connection broke; another attempt may get through.
    CONNECTION = "connection"
    # Nobody can be reached this way: no such host, a bad certificate, no permission.
    UNREACHABLE = "unreachable"
    # No answer in time.
    TIMEOUT = "timeout"
    # An answer that is none of ours.
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt.

    Args:
        kind: what happened.
        message: for a person.
        status: HTTP status; 0 where nobody answered.
        code: the reason's name; empty where none was told.
        retry_after_s: the server's hint; None: none.
        metadata: the values behind the message.
        request_id: the server's.
    """

    kind: Kind
    message: str
    status: int = 0
    code: str = ""
    retry_after_s: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""


_BY_CODE: dict[str, type[errors.SIEError]] = {
    "MODEL_LOAD_FAILED": errors.ModelLoadFailedError,
    "MODEL_LOADING": errors.ModelLoadingError,
    "LORA_LOADING": errors.LoraLoadingError,
    "RESOURCE_EXHAUSTED": errors.ResourceExhaustedError,
}


def error_of(failure: Failure) -> errors.SIEError:
    """The exception that tells a caller of the failure."""
    return _class_of(failure)(
        failure.message,
        code=failure.code or None,
        status_code=failure.status or None,
        request_id=failure.request_id or None,
        retry_after=failure.retry_after_s,
        metadata=failure.metadata,
    )


def invalid(path: str, problem: str) -> errors.SIEError:
    """The exception for what cannot be sent, as the server's for what it cannot read."""
    message, metadata = f"{path}: {problem}", {"field": path}
    return error_of(Failure(Kind.ANSWER, message, 400, "INVALID_INPUT", metadata=metadata))


def _class_of(failure: Failure) -> type[errors.SIEError]:
    if failure.kind is Kind.UNREADABLE:
        return errors.ServerError
    if failure.kind is not Kind.ANSWER:
        return errors.SIEConnectionError
    if failure.status == 202:
        return errors.ProvisioningError
    if failure.status >= 500:
        return _BY_CODE.get(failure.code, errors.ServerError)
    return errors.RequestError
