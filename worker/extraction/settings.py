"""What a request, its profile and the registry decide together about Extract."""

from __future__ import annotations

from typing import Any, NamedTuple

from google.protobuf import json_format

from servicekit.errors import invalid
from servicekit.profiles import resolve
from sie.inference.v1.inference_service_pb2 import ExtractParams
from sie.registry.v1.model_pb2 import Model

DEFAULT_TEMPLATE = "This example is {}."


class ExtractSettings(NamedTuple):
    """How to extract from the items of a request.

    Attributes:
        labels: what to look for; empty for all that the model knows.
        threshold: what scores below it is left out; None for the model's own.
        aggregation: how tokens become entities, for models with a class for each token.
        multi_label: whether labels are judged apart from each other.
        flat: whether no entity may lie within another.
        raw_scores: whether logits are given in place of probabilities.
        template: the sentence that a label becomes, for models that judge entailment.

    """

    labels: tuple[str, ...]
    threshold: float | None = None
    aggregation: str = "simple"
    multi_label: bool = False
    flat: bool = True
    raw_scores: bool = False
    template: str = DEFAULT_TEMPLATE

    def require_labels(self) -> None:
        """Raise SieError if there are none."""
        if not self.labels:
            raise invalid("params.labels", "the model needs labels to look for")


def settings_of(params: ExtractParams, model: Model) -> ExtractSettings:
    """Merge a request's parameters over its profile's, and those over the defaults.

    A profile's options may hold the threshold too.
    """
    profile = resolve(model, params.profile)
    options: dict[str, Any] = {
        **json_format.MessageToDict(profile.options),
        **json_format.MessageToDict(params.options),
    }
    threshold = params.threshold if params.HasField("threshold") else options.get("threshold")
    return ExtractSettings(
        labels=tuple(params.labels or model.tasks.extract.labels),
        threshold=threshold,
        aggregation=options.get("aggregation", "simple"),
        multi_label=options.get("multi_label", False),
        flat=options.get("flat_ner", True),
        raw_scores=params.raw_scores,
        template=options.get("hypothesis_template", DEFAULT_TEMPLATE),
    )
