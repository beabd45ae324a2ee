"""The keyword arguments of calls, written once for both clients."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from sie_sdk._core.progress import OnProgress
from sie_sdk.types import OutputDtype, OutputType, Truncate


class CallKeywords(TypedDict, total=False):
    """What every call of a model takes."""

    # Machine profile such as `l4`, or pool and profile: `tenant-abc/l4`. The client's.
    gpu: str | None
    # Whether to wait for capacity, and for a server that does not answer. True.
    wait_for_capacity: bool
    # For all attempts together. 900.
    provision_timeout_s: float
    # Of each attempt. The client's: 30.
    timeout_s: float | None
    # Of the model. Win over the client's, key by key.
    options: Mapping[str, Any] | None
    # Of the model. `default`.
    profile: str | None
    # `bulk` lets interactive work go first.
    work_class: Literal["interactive", "bulk"] | None


class EncodeKeywords(CallKeywords, total=False):
    """What Encode takes."""

    # The model's first output.
    output_types: Sequence[OutputType] | None
    # float32.
    output_dtype: OutputDtype | None
    # Put before each text.
    instruction: str | None
    # Whether items are queries or documents, for models that tell them apart.
    is_query: bool | None
    # Leading components to keep of dense vectors, normalised again. All.
    dimensions: int | None
    # What to do with items that are too long: `right` (the default) keeps their beginning.
    truncate: Truncate | None


class BulkKeywords(EncodeKeywords, total=False):
    """What Encode takes beside it for many items."""

    # Items of one request, at most. 64.
    batch_size: int
    # Requests at a time. 4.
    in_flight: int
    # True draws a bar on stderr; a callable is told (items done, items in all or None).
    progress: bool | OnProgress


def checked(given: Mapping[str, Any], keywords: type) -> dict[str, Any]:
    """Keyword arguments as they were given, without those that are None.

    Raises:
        TypeError: one is not among `keywords`.
    """
    if unknown := given.keys() - keywords.__annotations__.keys():
        raise TypeError(f"unexpected keyword argument {min(unknown)!r}")
    return {key: value for key, value in given.items() if value is not None}
