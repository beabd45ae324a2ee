"""What a well-formed request is. Every refusal names the field at fault."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from servicekit.errors import SieError, invalid
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1.inference_service_pb2 import EncodeParams, EncodeRequest
from sie.inference.v1.item_pb2 import Item
from sie.inference.v1.model_service_pb2 import InputType
from sie.inference.v1.tensor_pb2 import DataType, OutputType
from sie.registry.v1.model_pb2 import Model

MAX_ID_CHARACTERS = 256
DEFAULT_PROFILE = "default"

# By field of EncodeTask, in its order.
_OUTPUTS = {
    "dense": OutputType.OUTPUT_TYPE_DENSE,
    "sparse": OutputType.OUTPUT_TYPE_SPARSE,
    "multivector": OutputType.OUTPUT_TYPE_MULTIVECTOR,
}


def check_encode(request: EncodeRequest, model: Model, max_items: int) -> None:
    """Checks a request against the contract and against what the model can do.

    Raises:
        SieError: INVALID_INPUT or UNSUPPORTED_OUTPUT.
    """
    check_items(request.items, model, max_items)
    params = request.params
    _check_profile(params.profile, model)
    _check_outputs(params, model)
    _check_dimensions(params, model)
    for key in params.options.fields:
        raise invalid(f"params.options.{key}", "the model has no such option")


def check_items(items: Sequence[Item], model: Model, max_items: int) -> None:
    if not items:
        raise invalid("items", "at least one item is needed")
    if len(items) > max_items:
        raise invalid("items", f"at most {max_items} items are taken, got {len(items)}")
    reads_text = InputType.INPUT_TYPE_TEXT in inputs_of(model)
    for index, item in enumerate(items):
        if len(item.id) > MAX_ID_CHARACTERS:
            raise invalid(f"items[{index}].id", f"longer than {MAX_ID_CHARACTERS} characters")
        if not (item.HasField("text") and reads_text):
            _check_content(item, f"items[{index}]", model)


def _check_content(item: Item, path: str, model: Model) -> None:
    content = {
        InputType.INPUT_TYPE_TEXT: item.HasField("text"),
        InputType.INPUT_TYPE_IMAGE: bool(item.images),
        InputType.INPUT_TYPE_DOCUMENT: item.HasField("document"),
    }
    read = inputs_of(model)
    if any(content[kind] for kind in read):
        return
    names = " or ".join(_lower(InputType, kind) for kind in read)
    if any(content.values()):
        raise invalid(path, f"model '{model.model_id}' reads {names}, which the item lacks")
    raise invalid(f"{path}.{names.split(' ')[0]}", f"the item has no content; {names} is needed")


def _check_profile(name: str, model: Model) -> None:
    if name and name != DEFAULT_PROFILE and name not in model.profiles:
        known = ", ".join(sorted({DEFAULT_PROFILE, *model.profiles}))
        raise invalid("params.profile", f"no profile '{name}'; the model has {known}")


def _check_outputs(params: EncodeParams, model: Model) -> None:
    supported = outputs_of(model)
    if not supported:
        raise _unsupported(model, "model", f"model '{model.model_id}' does not encode", [])
    for index, output in enumerate(params.output_types):
        path = f"params.output_types[{index}]"
        if output not in OutputType.values() or not output:
            raise invalid(path, f"unknown output type {output}")
        if output not in supported:
            names = [_lower(OutputType, kind) for kind in supported]
            message = (
                f"{path}: model '{model.model_id}' has no {_lower(OutputType, output)} output; "
                f"it gives {', '.join(names)}"
            )
            raise _unsupported(model, path, message, names)
    if params.output_dtype not in DataType.values():
        raise invalid("params.output_dtype", f"unknown element type {params.output_dtype}")


def _check_dimensions(params: EncodeParams, model: Model) -> None:
    if not params.dimensions:
        return
    task = model.tasks.encode
    if not task.HasField("dense"):
        raise invalid("params.dimensions", "only dense vectors can be shortened")
    if params.dimensions > task.dense.dims:
        raise invalid(
            "params.dimensions", f"the model has {task.dense.dims}, got {params.dimensions}"
        )


def inputs_of(model: Model) -> Sequence[InputType]:
    return model.inputs or [InputType.INPUT_TYPE_TEXT]


def outputs_of(model: Model) -> list[OutputType]:
    """Outputs of Encode; the first is the default."""
    return [output for name, output in _OUTPUTS.items() if model.tasks.encode.HasField(name)]


def _unsupported(model: Model, field: str, message: str, supported: Iterable[str]) -> SieError:
    return SieError(
        ErrorReason.ERROR_REASON_UNSUPPORTED_OUTPUT,
        message,
        model=model.model_id,
        field=field,
        supported=",".join(supported),
    )


def _lower(enum: Any, value: int) -> str:
    """An enum value as the JSON face spells it: `OUTPUT_TYPE_DENSE` is `dense`."""
    return str(enum.Name(value)).split("_TYPE_")[1].lower()
