"""Parameters of a ModelInferRequest: fields of the verb's own message, under their names."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.message import Message

from gateway.transcoder.json_in import reader
from gateway.transcoder.names import descriptor_of
from gateway.transcoder.reading import FieldError
from servicekit.errors import invalid
from sie.oip.open_inference_pb2 import InferParameter

TIMEOUT = "timeout"
_OPTIONS = "options"


def values_of(parameters: Mapping[str, InferParameter]) -> dict[str, Any]:
    """Parameters as booleans, numbers and strings.

    Raises:
        SieError: INVALID_INPUT for one without a value.
    """
    values = {}
    for name, parameter in parameters.items():
        kind = parameter.WhichOneof("parameter_choice")
        if kind is None:
            raise invalid(f"parameters.{name[:80]}", "has no value")
        values[name] = getattr(parameter, kind)
    return values


def timeout_s(values: dict[str, Any]) -> float | None:
    """Takes out how many seconds the caller waits, which travels in microseconds.

    Raises:
        SieError: INVALID_INPUT.
    """
    value = values.pop(TIMEOUT, None)
    if value is None:
        return None
    if type(value) is not int or value < 0:
        raise invalid(f"parameters.{TIMEOUT}", "must be a whole number of microseconds")
    # Zero is what clients send that mean no bound.
    return value / 1e6 if value else None


def fill(message: Message, values: Mapping[str, Any], known: Iterable[str]) -> None:
    """Sets fields of a message by parameters of their names, `options.<name>` below `options`.

    Raises:
        SieError: INVALID_INPUT, naming the parameter.
    """
    known = list(known)
    fields: dict[str, Any] = {}
    for name, value in values.items():
        owner, _, option = name.partition(".")
        if owner == _OPTIONS and option and _OPTIONS in known:
            fields.setdefault(_OPTIONS, {})[option] = value
        elif name in known and name != _OPTIONS:
            fields[name] = value
        else:
            raise invalid(f"parameters.{name[:80]}", f"unknown parameter; {_there_are(known)}")
    try:
        reader(descriptor_of(type(message)))(message, fields)
    except FieldError as error:
        raise invalid(f"parameters.{error.path}", error.problem) from None


def labels_in(text: Any) -> list[str]:
    """The labels in a parameter: separated by commas, or a JSON array of strings.

    Raises:
        SieError: INVALID_INPUT.
    """
    field = "parameters.labels"
    if type(text) is not str:
        raise invalid(field, "must be a string: names separated by commas, or a JSON array")
    if not text.lstrip().startswith("["):
        return [name.strip() for name in text.split(",")]
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        raise invalid(field, "not a JSON array") from None
    if not all(type(name) is str for name in names):
        raise invalid(field, "not a JSON array of strings")
    return list(names)


def _there_are(known: list[str]) -> str:
    shown = [f"{name}.<name>" if name == _OPTIONS else name for name in known]
    return f"there are {', '.join([*shown, TIMEOUT])}"
