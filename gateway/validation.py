"""What a well-formed request is. Every refusal names the field at fault."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.struct_pb2 import Struct

from servicekit.defaults import DEFAULT_PROFILE
from servicekit.errors import SieError, invalid
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1.item_pb2 import Item
from sie.inference.v1.model_service_pb2 import InputType
from sie.inference.v1.tensor_pb2 import OutputType
from sie.registry.v1.model_pb2 import Model

MAX_ID_CHARACTERS = 256

# Options that have fields of their own, by the kind of value they take.
_OPTIONS = {"is_query": "bool_value", "profile": "string_value"}
_KINDS = {"bool_value": "boolean", "string_value": "string"}

_IMAGE_FORMATS = frozenset({"", "png", "jpeg", "webp"})

# Each look at an enum's value by its name takes a microsecond, for each item of thousands.
_TEXT = InputType.INPUT_TYPE_TEXT
_IMAGE = InputType.INPUT_TYPE_IMAGE
_DOCUMENT = InputType.INPUT_TYPE_DOCUMENT

# By field of EncodeTask, in its order.
_OUTPUTS = {
    "dense": OutputType.OUTPUT_TYPE_DENSE,
    "sparse": OutputType.OUTPUT_TYPE_SPARSE,
    "multivector": OutputType.OUTPUT_TYPE_MULTIVECTOR,
}


def check_items(
    items: Sequence[Item],
    model: Model,
    max_items: int,
    *,
    precomputed: bool = False,
    token_ids: bool = False,
) -> None:
    """Checks how many items there are, and each of them as check_item does."""
    if not items:
        raise invalid("items", "at least one item is needed")
    if len(items) > max_items:
        raise invalid("items", f"at most {max_items} items are taken, got {len(items)}")
    for index, item in enumerate(items):
        path = f"items[{index}]"
        check_item(item, path, model, precomputed=precomputed, token_ids=token_ids)


def check_item(
    item: Item,
    path: str,
    model: Model,
    *,
    precomputed: bool = False,
    token_ids: bool = False,
) -> None:
    """Checks that an item holds what the model reads.

    Args:
        item: the item.
        path: where it stands in the request.
        model: the model.
        precomputed: whether token vectors may stand for content.
        token_ids: whether token ids may stand for a text.
    """
    if len(item.id) > MAX_ID_CHARACTERS:
        raise invalid(f"{path}.id", f"longer than {MAX_ID_CHARACTERS} characters")
    if item.HasField("multivector"):
        if precomputed:
            return
        problem = "token vectors are read by Score alone, for models that compare them"
        raise invalid(f"{path}.multivector", problem)
    _check_token_ids(item, path, token_ids)
    content = {
        _TEXT: item.HasField("text") or bool(item.token_ids),
        _IMAGE: bool(item.images),
        _DOCUMENT: item.HasField("document"),
    }
    read = inputs_of(model)
    given = [kind for kind in content if content[kind]]
    if not any(kind in read for kind in given):
        raise _without_content(path, model, any_given=bool(given))
    if unread := [lower(InputType, kind) for kind in given if kind not in read]:
        raise invalid(path, f"model '{model.model_id}' would ignore the {unread[0]}")
    if len(given) > 1:
        names = " and ".join(lower(InputType, kind) for kind in given)
        raise invalid(path, f"holds {names}; an item is one input, so give each its own item")
    if len(item.images) > 1:
        raise invalid(f"{path}.images", "one image an item is read; give each its own item")
    _check_image_formats(item, path)


def _check_token_ids(item: Item, path: str, allowed: bool) -> None:
    if not item.token_ids:
        return
    if not allowed:
        raise invalid(f"{path}.token_ids", "token ids are read by Encode and Tokenize alone")
    if item.HasField("text"):
        raise invalid(path, "holds text and token_ids; an item is one input, so give one of them")


def _without_content(path: str, model: Model, *, any_given: bool) -> SieError:
    names = " or ".join(lower(InputType, kind) for kind in inputs_of(model))
    if any_given:
        return invalid(path, f"model '{model.model_id}' reads {names}, which the item lacks")
    return invalid(f"{path}.{names.split(' ')[0]}", f"the item has no content; {names} is needed")


def _check_image_formats(item: Item, path: str) -> None:
    for index, image in enumerate(item.images):
        if image.format not in _IMAGE_FORMATS:
            known = ", ".join(sorted(_IMAGE_FORMATS - {""}))
            raise invalid(f"{path}.images[{index}].format", f"must be one of {known}")


def check_profile(name: str, model: Model, field: str) -> None:
    if name and name != DEFAULT_PROFILE and name not in model.profiles:
        known = ", ".join(sorted({DEFAULT_PROFILE, *model.profiles}))
        raise invalid(field, f"no profile '{name}'; the model has {known}")


def settle_options(message: Any, path: str) -> None:
    """Moves options that are fields of their own into those fields.

    Clients of this field send `is_query` and `profile` among the options.

    Raises:
        SieError: INVALID_INPUT, an option is of the wrong type, or contradicts its field.
    """
    options = message.options
    for key, value in list(options.fields.items()):
        where = f"{path}options.{key}"
        kind = _OPTIONS.get(key)
        if kind is None or key not in message.DESCRIPTOR.fields_by_name:
            continue
        if value.WhichOneof("kind") != kind:
            raise invalid(where, f"expected a {_KINDS[kind]}")
        wanted = getattr(value, kind)
        if _is_set(message, key) and getattr(message, key) != wanted:
            raise invalid(where, f"contradicts {path}{key}")
        setattr(message, key, wanted)
        del options.fields[key]


def check_options(options: Struct, field: str) -> None:
    for key in options.fields:
        raise invalid(f"{field}.{key}", "the model has no such option")


def _is_set(message: Any, name: str) -> bool:
    field = message.DESCRIPTOR.fields_by_name[name]
    return bool(message.HasField(name) if field.has_presence else getattr(message, name))


def check_enum(value: int, enum: Any, field: str) -> None:
    if value not in enum.values():
        raise invalid(field, f"unknown value {value}")


def inputs_of(model: Model) -> Sequence[InputType]:
    return model.inputs or [_TEXT]


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
