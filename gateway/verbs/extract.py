"""Extract: as Encode's, the reply is the workers' fragments one after the other."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

from gateway.validation import check_items, check_profile, settle_options, unsupported
from gateway.verbs.fragments import joined
from servicekit.errors import invalid
from sie.errors.v1.error_pb2 import Error
from sie.inference.v1.inference_service_pb2 import ExtractParams, ExtractRequest, ExtractResponse
from sie.inference.v1.result_pb2 import ExtractResult, Timing
from sie.registry.v1.model_pb2 import Model

NAME = "extract"

# A text is judged once for each label, or labels and text share one input.
MAX_LABELS = 256
MAX_LABEL_CHARACTERS = 256

_AGGREGATIONS = ("simple", "first", "average", "max")
_PLACEHOLDER = "{}"


def answers(model: Model) -> bool:
    return model.tasks.HasField("extract")


def check(request: ExtractRequest, model: Model, max_items: int) -> None:
    """Checks a request against the contract and against what the model can do.

    Raises:
        SieError: INVALID_INPUT or UNSUPPORTED_OUTPUT.
    """
    check_items(request.items, model, max_items)
    if not answers(model):
        raise unsupported(model, "model", f"model '{model.model_id}' does not extract", [])
    params = request.params
    settle_options(params, "params.")
    check_profile(params.profile, model, "params.profile")
    _check_labels(params.labels, model)
    _check_threshold(params)
    _check_options(params.options)
    if params.instruction:
        raise invalid("params.instruction", "the model takes no instruction")
    if params.HasField("output_schema"):
        raise invalid("params.output_schema", "the model fills no schema")


def part(request: ExtractRequest, first: int, last: int) -> ExtractRequest:
    return ExtractRequest(items=request.items[first:last], params=request.params)


def join(request: ExtractRequest, results: Sequence[Any], timing: Timing) -> bytes:
    def failed(index: int, error: Error) -> ExtractResponse:
        result = ExtractResult(id=request.items[index].id or f"item-{index}", error=error)
        return ExtractResponse(items=[result])

    tail = ExtractResponse(model=request.model, timing=timing)
    return joined(NAME, results, failed, tail)


def _check_labels(labels: Sequence[str], model: Model) -> None:
    if len(labels) > MAX_LABELS:
        raise invalid("params.labels", f"at most {MAX_LABELS} labels are taken, got {len(labels)}")
    known = model.tasks.extract.labels
    for index, label in enumerate(labels):
        field = f"params.labels[{index}]"
        if not label.strip():
            raise invalid(field, "a label needs a character that is no white space")
        if len(label) > MAX_LABEL_CHARACTERS:
            raise invalid(field, f"longer than {MAX_LABEL_CHARACTERS} characters")
        if label in labels[:index]:
            raise invalid(field, f"'{label}' is named twice")
        if known and label not in known:
            raise invalid(field, f"the model does not know '{label}'; it knows {', '.join(known)}")


def _check_threshold(params: ExtractParams) -> None:
    # NaN lies in no range, so it is refused too.
    if not 0 <= params.threshold <= 1:
        raise invalid("params.threshold", f"must lie in [0, 1], got {params.threshold:g}")


def _check_options(options: Struct) -> None:
    for key, value in options.fields.items():
        field = f"params.options.{key}"
        if key not in _OPTIONS:
            raise invalid(field, f"no such option; there are {', '.join(sorted(_OPTIONS))}")
        if problem := _OPTIONS[key](value):
            raise invalid(field, problem)


def _flag_problem(value: Value) -> str:
    return "" if value.WhichOneof("kind") == "bool_value" else "must be true or false"


def _aggregation_problem(value: Value) -> str:
    return "" if value.string_value in _AGGREGATIONS else f"must be {_or(_AGGREGATIONS)}"


def _template_problem(value: Value) -> str:
    holds = value.string_value.count(_PLACEHOLDER) == 1
    return "" if holds else f"must be a sentence with one {_PLACEHOLDER} where the label goes"


def _or(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


# By name, what is wrong with a value; "" where nothing is.
_OPTIONS: Mapping[str, Callable[[Value], str]] = {
    "aggregation": _aggregation_problem,
    "flat_ner": _flag_problem,
    "hypothesis_template": _template_problem,
    "multi_label": _flag_problem,
}
