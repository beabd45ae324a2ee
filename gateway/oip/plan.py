"""From a ModelInferRequest to the request of a verb: which verb, which inputs, which outputs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from gateway.oip.inputs import read_inputs
from gateway.oip.parameters import timeout_s, values_of
from gateway.oip.verbs import VERBS
from gateway.oip.verbs.verb import Asked, TensorVerb, Values
from gateway.validation import unsupported
from servicekit.errors import SieError, invalid
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.oip.open_inference_pb2 import ModelInferRequest
from sie.registry.v1.model_pb2 import Model

VERSION = "1"

_ITEM = re.compile(r"items(\[\d+\])?(?:\..*)?")


class Plan(NamedTuple):
    """What to ask of which verb.

    Attributes:
        verb: the verb.
        asked: its request.
        wanted: names of the outputs to give, in order.
        timeout_s: how long the caller waits, if it says so.
    """

    verb: TensorVerb
    asked: Asked
    wanted: list[str]
    timeout_s: float | None


def check_version(model: Model, version: str) -> None:
    """Refuse versions that there are not.

    Raises:
        SieError: MODEL_NOT_FOUND.
    """
    if version not in ("", VERSION):
        raise SieError(
            ErrorReason.ERROR_REASON_MODEL_NOT_FOUND,
            f"model '{model.model_id}' has no version {version[:80]!r}; it has {VERSION}",
            model=model.model_id,
        )


def verbs_of(model: Model) -> list[TensorVerb]:
    """Verbs that the model answers; the first is its own."""
    return [verb for verb in VERBS if verb.answers(model)]


def plan(request: ModelInferRequest, model: Model, max_elements: int) -> Plan:
    """Reads a request.

    Raises:
        SieError: INVALID_INPUT or UNSUPPORTED_OUTPUT, naming the field.
    """
    values = values_of(request.parameters)
    timeout = timeout_s(values)
    verbs = verbs_of(model)
    known = dict.fromkeys(spec.name for verb in verbs for spec in verb.inputs(model))
    elements = read_inputs(request, known, max_elements)
    wanted = _requested(request)
    verb = _choose(verbs, model, elements, wanted, values)
    wanted = _given(verb, model, wanted, values)
    asked = verb.request(model, elements, wanted, values)
    # It may name a bundle too.
    asked.message.model = request.model_name
    return Plan(verb, asked, wanted, timeout)


def in_terms_of_tensors(error: SieError, asked: Asked) -> SieError:
    """The same error, of which the field is named as the caller's request names it."""
    field = error.metadata.get("field", "")
    named = _named(field, asked)
    if named == field:
        return error
    message = error.message.replace(field, named, 1)
    metadata = {**error.metadata, "field": named}
    return SieError(error.reason, message, retry_after_s=error.retry_after_s, **metadata)


def _named(field: str, asked: Asked) -> str:
    if item := _ITEM.fullmatch(field):
        return asked.items + (item[1] or "")
    root = re.split(r"[.\[]", field, maxsplit=1)[0]
    if root == "query":
        return asked.query
    if root == "params":
        return "parameters" + field.removeprefix("params")
    return f"parameters.{field}" if root in _OWN_PARAMETERS else field


# Parameters that stand in the request of a verb itself.
_OWN_PARAMETERS = {"instruction", "truncate", "profile", "options"}


def _requested(request: ModelInferRequest) -> list[str]:
    names: list[str] = []
    for index, output in enumerate(request.outputs):
        if output.name in names:
            raise invalid(f"outputs[{index}].name", f"'{output.name[:80]}' is given twice")
        for parameter in output.parameters:
            field = f"outputs[{index}].parameters.{parameter[:80]}"
            raise invalid(field, "unknown parameter")
        names.append(output.name)
    return names


def _choose(
    verbs: Sequence[TensorVerb],
    model: Model,
    given: Iterable[str],
    wanted: Iterable[str],
    values: Values,
) -> TensorVerb:
    """The verb that takes what is given and, where several do, gives what is wanted."""
    by_inputs = {verb: [spec.name for spec in verb.inputs(model)] for verb in verbs}
    given = list(given)
    if not given:
        names = " or ".join(by_inputs[verbs[0]])
        raise invalid("inputs", f"at least one is needed; the model takes {names}")
    takers = [verb for verb in verbs if set(given) <= set(by_inputs[verb])]
    if not takers:
        raise invalid("inputs", f"{' and '.join(given)} do not go together{_choices(by_inputs)}")
    names_given = set(wanted)
    return next(
        (verb for verb in takers if names_given <= _output_names(verb, model, values)), takers[0]
    )


def _choices(by_inputs: Mapping[TensorVerb, list[str]]) -> str:
    return "".join(f"; {verb.NAME} takes {', '.join(by_inputs[verb])}" for verb in by_inputs)


def _output_names(verb: TensorVerb, model: Model, values: Values) -> set[str]:
    return {spec.name for spec in verb.outputs(model, values)}


def _given(verb: TensorVerb, model: Model, wanted: list[str], values: Values) -> list[str]:
    names = [spec.name for spec in verb.outputs(model, values)]
    for index, name in enumerate(wanted):
        if name not in names:
            field = f"outputs[{index}].name"
            message = f"{field}: no output {name[:80]!r}; there are {', '.join(names)}"
            raise unsupported(model, field, message, names)
    return wanted or names
