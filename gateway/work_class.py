"""Whether somebody waits for a request, or a job that has time."""

from collections.abc import Mapping

from servicekit.errors import invalid
from sie.work.v1.work_item_pb2 import WorkClass

WORK_CLASS_HEADER = "x-sie-work-class"

_CLASSES = {
    "": WorkClass.WORK_CLASS_INTERACTIVE,
    "interactive": WorkClass.WORK_CLASS_INTERACTIVE,
    "bulk": WorkClass.WORK_CLASS_BULK,
}


def work_class_of(metadata: Mapping[str, str]) -> WorkClass:
    """The class that a request's header names; `interactive` without one.

    Raises:
        SieError: INVALID_INPUT, it names another.
    """
    name = metadata.get(WORK_CLASS_HEADER, "").strip().lower()
    if name not in _CLASSES:
        raise invalid(WORK_CLASS_HEADER, "must be interactive or bulk")
    return _CLASSES[name]
