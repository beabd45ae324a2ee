"""What goes wrong on the way to a model's files."""

from __future__ import annotations

from worker.load_errors import ErrorClass, LoadError


class SourceError(LoadError):
    """A source does not give the model's files."""

    def __init__(self, problem: str, error_class: ErrorClass = ErrorClass.NOT_FOUND) -> None:
        super().__init__(problem, error_class)


# What is told when several sources fail: first what may pass, then what somebody can mend.
_TOLD_FIRST = (
    ErrorClass.NETWORK,
    ErrorClass.GATED,
    ErrorClass.CHECKPOINT,
    ErrorClass.UNSUPPORTED,
    ErrorClass.NOT_FOUND,
)


def joined(errors: list[SourceError]) -> SourceError:
    """Return one error that has the reason of each source."""
    if not errors:
        return SourceError("the model names no source")
    classes = {error.error_class for error in errors}
    told = next(each for each in (*_TOLD_FIRST, *classes) if each in classes)
    return SourceError("; ".join(map(str, errors)), told)
