"""Items from the elements of an input, and what every verb says of each item."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gateway.oip.tensors import BYTES, Tensor, tensor_of
from gateway.oip.verbs.verb import Elements, TensorSpec
from gateway.validation import inputs_of
from servicekit.errors import invalid
from sie.inference.v1.item_pb2 import Item
from sie.inference.v1.model_service_pb2 import InputType
from sie.registry.v1.model_pb2 import Model

_IMAGE_SUFFIX = "image"

TOKENS = TensorSpec("input_tokens", "INT32", (-1,))
TRUNCATED = TensorSpec("truncated", "BOOL", (-1,))


def is_image(name: str) -> bool:
    """Whether the elements of an input are files of pictures."""
    return name.removesuffix("s").endswith(_IMAGE_SUFFIX)


def specs(text: str, image: str, model: Model) -> list[TensorSpec]:
    """One input of each kind of content that the model reads."""
    names = {InputType.INPUT_TYPE_TEXT: text, InputType.INPUT_TYPE_IMAGE: image}
    return [TensorSpec(names[kind], BYTES, (-1,)) for kind in inputs_of(model) if kind in names]


def only_one(elements: Elements, choices: Sequence[str]) -> str:
    """Which one of several inputs is given.

    Raises:
        SieError: none is, or more than one.
    """
    given = [name for name in choices if name in elements]
    if len(given) > 1:
        raise invalid("inputs", f"{' and '.join(given)} exclude each other")
    if not given:
        raise invalid("inputs", f"{' or '.join(choices)} is needed")
    return given[0]


def items_of(name: str, elements: Sequence[bytes]) -> list[Item]:
    """One item for each element.

    Raises:
        SieError: a text is not in UTF-8.
    """
    if is_image(name):
        return [Item(images=[{"data": element}]) for element in elements]
    return [Item(text=_text(element, name, index)) for index, element in enumerate(elements)]


def token_tensors(wanted: Sequence[str], results: Sequence[Any]) -> dict[str, Tensor]:
    """Those of TOKENS and TRUNCATED that are wanted."""
    count = len(results)
    made = {}
    if TOKENS.name in wanted:
        tokens = np.fromiter((result.input_tokens for result in results), np.int32, count)
        made[TOKENS.name] = tensor_of(TOKENS.name, tokens)
    if TRUNCATED.name in wanted:
        truncated = np.fromiter((result.truncated for result in results), np.bool_, count)
        made[TRUNCATED.name] = tensor_of(TRUNCATED.name, truncated)
    return made


def _text(element: bytes, name: str, index: int) -> str:
    try:
        return element.decode()
    except UnicodeDecodeError:
        raise invalid(f"{name}[{index}]", "not in UTF-8") from None
