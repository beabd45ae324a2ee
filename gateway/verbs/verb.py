"""What a verb brings to InferenceService: a module with these names."""

from collections.abc import Sequence
from typing import Any, Protocol

from google.protobuf.message import Message

from sie.inference.v1.result_pb2 import Timing
from sie.registry.v1.model_pb2 import Model


class Verb(Protocol):
    """The part of a verb that the others do not share.

    Results are packed twins of WorkResult, in the order of items, covering all of them; at
    least one of them is no error.
    """

    @property
    def NAME(self) -> str:
        """Field of the work item and of the work result."""

    def answers(self, model: Model) -> bool:
        """Return whether the verb can be asked of a model."""

    def check(self, request: Any, model: Model, max_items: int) -> None:
        """Raise SieError unless the request is well formed and the model can answer it."""

    def part(self, request: Any, first: int, last: int) -> Message:
        """Return the request that a worker needs for items[first:last]."""

    def join(self, request: Any, results: Sequence[Any], timing: Timing) -> bytes:
        """Return the response, serialised."""
