"""Inputs of a ModelInferRequest: lists of texts and pictures, whatever form they came in."""

import binascii
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gateway.oip.tensors import BYTES, MalformedTensorError, count_of, unpack_bytes
from servicekit.errors import invalid
from sie.oip.open_inference_pb2 import ModelInferRequest

CONTENT_TYPE = "content_type"
TEXT_CONTENT = "str"
BASE64_CONTENT = "base64"


def read_inputs(
    request: ModelInferRequest, known: Iterable[str], max_elements: int
) -> dict[str, list[bytes]]:
    """The elements of each input by its name.

    Args:
        request: the request.
        known: names of inputs that there are.
        max_elements: no input may have more.

    Raises:
        SieError: INVALID_INPUT, naming the field.
    """
    names = list(known)
    raws = _raw_contents(request)
    found: dict[str, list[bytes]] = {}
    for index, tensor in enumerate(request.inputs):
        path = f"inputs[{index}]"
        if tensor.name not in names:
            raise invalid(f"{path}.name", f"no input {tensor.name[:80]!r}; {_there_are(names)}")
        if tensor.name in found:
            raise invalid(f"{path}.name", f"'{tensor.name}' is given twice")
        if tensor.datatype != BYTES:
            raise invalid(f"{path}.datatype", f"must be {BYTES}, got {tensor.datatype[:80]!r}")
        count = _count(tensor, path, max_elements)
        raw = raws[index] if raws is not None else None
        elements = _typed(tensor, count, path) if raw is None else _unpacked(raw, count, index)
        found[tensor.name] = _decoded(tensor, elements, path)
    return found


def _there_are(names: list[str]) -> str:
    return f"the model takes {', '.join(names)}"


def _raw_contents(request: ModelInferRequest) -> list[bytes] | None:
    raws, inputs = list(request.raw_input_contents), len(request.inputs)
    if not raws:
        return None
    if len(raws) != inputs:
        problem = f"one for each of {inputs} inputs is needed, got {len(raws)}"
        raise invalid("raw_input_contents", problem)
    for index, tensor in enumerate(request.inputs):
        if tensor.HasField("contents"):
            problem = "must be absent where raw_input_contents are given"
            raise invalid(f"inputs[{index}].contents", problem)
    return raws


def _count(tensor: Any, path: str, max_elements: int) -> int:
    try:
        count = count_of(tensor.shape)
    except MalformedTensorError as error:
        raise invalid(f"{path}.shape", str(error)) from None
    if count > max_elements:
        raise invalid(f"{path}.shape", f"at most {max_elements} elements are taken, got {count}")
    return count


def _typed(tensor: Any, count: int, path: str) -> list[bytes]:
    for field, _ in tensor.contents.ListFields():
        if field.name != "bytes_contents":
            problem = f"elements of {BYTES} stand in bytes_contents"
            raise invalid(f"{path}.contents.{field.name}", problem)
    elements = list(tensor.contents.bytes_contents)
    if len(elements) != count:
        problem = f"the shape asks for {count} elements, got {len(elements)}"
        raise invalid(f"{path}.contents.bytes_contents", problem)
    return elements


def _unpacked(raw: bytes, count: int, index: int) -> list[bytes]:
    try:
        return unpack_bytes(raw, count)
    except MalformedTensorError as error:
        raise invalid(f"inputs[{index}]", f"its raw contents: {error}") from None


def _decoded(tensor: Any, elements: list[bytes], path: str) -> list[bytes]:
    content_type = _content_type(tensor.parameters, path)
    return list(_from_base64(elements, path)) if content_type == BASE64_CONTENT else elements


def _content_type(parameters: Mapping[str, Any], path: str) -> str:
    for name, value in parameters.items():
        field = f"{path}.parameters.{name[:80]}"
        if name != CONTENT_TYPE:
            raise invalid(field, "unknown parameter")
        if value.string_param not in (TEXT_CONTENT, BASE64_CONTENT):
            raise invalid(field, f"must be {TEXT_CONTENT} or {BASE64_CONTENT}")
        return str(value.string_param)
    return TEXT_CONTENT


def _from_base64(elements: list[bytes], path: str) -> Iterator[bytes]:
    for index, element in enumerate(elements):
        try:
            yield binascii.a2b_base64(element, strict_mode=True)
        except ValueError:
            raise invalid(f"{path}.data[{index}]", "expected base64") from None
