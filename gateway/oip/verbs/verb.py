"""What a verb brings to the open inference protocol: a module with these names."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from gateway.oip.tensors import Tensor
from sie.registry.v1.model_pb2 import Model

# Parameters by name; elements of inputs by name.
Values = Mapping[str, Any]
Elements = Mapping[str, list[bytes]]


class TensorSpec(NamedTuple):
    """A tensor that a model takes or gives; sizes that vary are -1."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class Asked(NamedTuple):
    """A request message of a verb, and which inputs its items and its query come from."""

    message: Any
    items: str
    query: str = ""


class Given(NamedTuple):
    """Outputs, and parameters of the response."""

    tensors: list[Tensor]
    parameters: dict[str, str]


class TensorVerb(Protocol):
    """The part of a verb that the others do not share."""

    @property
    def NAME(self) -> str:
        """Name of the method of InferenceService."""

    def answers(self, model: Model) -> bool:
        """Return whether the verb can be asked of a model."""

    def inputs(self, model: Model) -> list[TensorSpec]:
        """Return the tensors that are taken."""

    def outputs(self, model: Model, values: Values) -> list[TensorSpec]:
        """Return the tensors that can be given where the parameters are `values`."""

    def request(
        self, model: Model, elements: Elements, wanted: Sequence[str], values: Values
    ) -> Asked:
        """Return the request; raise SieError where inputs or parameters are wrong."""

    def read(self, body: bytes, wanted: Sequence[str]) -> Given:
        """Return the tensors `wanted` from a serialised response.

        Raises:
            SieError: an item failed; tensors have no place for that.
        """
