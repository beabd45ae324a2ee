"""What a well-formed request is. Every refusal names the field at fault."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.struct_pb2 import Struct

from servicekit.errors import SieError, invalid
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1.item_pb2 import Item
from sie.inference.v1.model_service_pb2 import InputType
from sie.inference.v1.tensor_pb2 import OutputType
from sie.registry.v1.model_pb2 import Model

MAX_ID_CHARACTERS = 256
DEFAULT_PROFILE = "default"

# By field of EncodeTask, in its order.
_OUTPUTS = {
    "dense": OutputType.OUTPUT_TYPE_DENSE,
    "sparse": OutputType.OUTPUT_TYPE_SPARSE,
    "multivector": OutputType.OUTPUT_TYPE_MULTIVECTOR,
}


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
    names = " or ".join(lower(InputType, kind) for kind in read)
    if any(content.values()):
        raise invalid(path, f"model '{model.model_id}' reads {names}, which the item lacks")
    raise invalid(f"{path}.{names.split(' ')[0]}", f"the item has no content; {names} is needed")


def check_profile(name: str, model: Model, field: str) -> None:
    if name and name != DEFAULT_PROFILE and name not in model.profiles:
        known = ", ".join(sorted({DEFAULT_PROFILE, *model.profiles}))
        raise invalid(field, f"no profile '{name}'; the model has {known}")


def check_options(options: Struct, field: str) -> None:
    for key in options.fields:
        raise invalid(f"{field}.{key}", "the model has no such option")


def inputs_of(model: Model) -> Sequence[InputType]:
    return model.inputs or [InputType.INPUT_TYPE_TEXT]


def outputs_of(model: Model) -> list[OutputType]:
    """Outputs of Encode; the first is the default."""
    return [output for name, output in _OUTPUTS.items() if model.tasks.encode.HasField(name)]


def unsupported(model: Model, field: str, message: str, supported: Iterable[str]) -> SieError:
    return SieError(
        ErrorReason.ERROR_REASON_UNSUPPORTED_OUTPUT,
        message,
        model=model.model_id,
        field=field,
        supported=",".join(supported),
    )


def lower(enum: Any, value: int) -> str:
    """An enum value as the JSON face spells it: `OUTPUT_TYPE_DENSE` is `dense`."""
    return str(enum.Name(value)).split("_TYPE_")[1].lower()
