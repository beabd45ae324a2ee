"""REST to ModelInferRequest: JSON, with tensors in it or, in binary, after it.

    {"inputs": [{"name": "text", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]}]}
    {"inputs": [{..., "parameters": {"binary_data_size": 10}}]}<10 bytes>

The header Inference-Header-Content-Length says where the JSON of the second form ends. Pictures
in JSON are base64.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from gateway.numbers import integer_of
from gateway.oip.inputs import BASE64_CONTENT, CONTENT_TYPE
from gateway.oip.tensors import BYTES, pack_bytes
from gateway.oip.verbs.items import is_image
from gateway.transcoder.json_bounds import MOST_CONTAINERS, within_bounds
from gateway.transcoder.reading import FieldError, expected
from servicekit.errors import invalid
from sie.oip.open_inference_pb2 import InferParameter, ModelInferRequest

HEADER_LENGTH = "inference-header-content-length"

_BINARY_SIZE = "binary_data_size"
_BINARY = "binary_data"
_BINARY_ALL = "binary_data_output"
_INT64 = range(-(2**63), 2**63)


class InferBody(NamedTuple):
    """What the body of an infer request says.

    Attributes:
        message: the request.
        binary: by output, whether it is given in binary.
        binary_by_default: the same for outputs that `binary` does not name.
    """

    message: ModelInferRequest
    binary: dict[str, bool]
    binary_by_default: bool


def read_infer(body: bytes, header_length: str | None, max_elements: int) -> InferBody:
    """Reads the body of an infer request; the model stands in its path.

    Raises:
        SieError: INVALID_INPUT, naming the field.
    """
    head, tail = _split(body, header_length)
    try:
        return _Reader(tail, max_elements).read(read_object(head))
    except FieldError as error:
        raise invalid(error.path or "body", error.problem) from None


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body; an empty body is an empty object.

    Raises:
        FieldError: it is none.
    """
    if not within_bounds(body):
        raise FieldError(f"holds more than {MOST_CONTAINERS} objects and lists")
    try:
        value = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError as error:
        raise FieldError(f"not JSON: {error}") from None
    return dict(_of(dict, "an object", value, ""))


def _split(body: bytes, header_length: str | None) -> tuple[bytes, bytes | None]:
    if header_length is None:
        return body, None
    length = integer_of(header_length)
    if length is None or not 0 <= length <= len(body):
        problem = f"must be a number of bytes of the body, which has {len(body)}"
        raise invalid("Inference-Header-Content-Length", problem)
    return body[:length], body[length:]


class _Reader:
    """Reads one request. `tail` holds the binary tensors, if there may be any."""

    def __init__(self, tail: bytes | None, max_elements: int) -> None:
        self._tail = tail
        self._position = 0
        self._max_elements = max_elements

    def read(self, value: dict[str, Any]) -> InferBody:
        _only(value, {"id", "parameters", "inputs", "outputs"}, "")
        message = ModelInferRequest(id=_get(value, "id", str, "a string", "", default=""))
        parameters = _parameters(value, "")
        by_default = _take(parameters, _BINARY_ALL, bool, "a boolean", "")
        _put(message.parameters, parameters, "")
        for index, tensor in _objects(value, "inputs"):
            self._read_input(message, tensor, f"inputs[{index}]")
        if self._tail is not None and self._position != len(self._tail):
            left = len(self._tail) - self._position
            raise FieldError(f"{left} bytes stand after the last binary tensor", "body")
        return InferBody(message, _read_outputs(message, value), bool(by_default))

    def _read_input(self, message: ModelInferRequest, value: dict[str, Any], path: str) -> None:
        _only(value, {"name", "shape", "datatype", "parameters", "data"}, path)
        tensor = message.inputs.add(
            name=_get(value, "name", str, "a string", path),
            datatype=_get(value, "datatype", str, "a string", path),
            shape=_shape(value, path),
        )
        parameters = _parameters(value, path)
        size = _take(parameters, _BINARY_SIZE, int, "a number of bytes", path)
        _put(tensor.parameters, parameters, path)
        if (size is None) == ("data" not in value):
            raise FieldError(f"one is needed of data and parameters.{_BINARY_SIZE}", path)
        if size is not None:
            message.raw_input_contents.append(self._binary(size, path))
            return
        if is_image(tensor.name):
            tensor.parameters[CONTENT_TYPE].string_param = BASE64_CONTENT
        message.raw_input_contents.append(self._json(value["data"], tensor, path))

    def _binary(self, size: int, path: str) -> bytes:
        field = f"{path}.parameters.{_BINARY_SIZE}"
        if self._tail is None:
            raise FieldError("needs the header Inference-Header-Content-Length", field)
        first, last = self._position, self._position + size
        if size < 0 or last > len(self._tail):
            raise FieldError(f"{len(self._tail) - first} bytes are left of the body", field)
        self._position = last
        return self._tail[first:last]

    def _json(self, data: Any, tensor: Any, path: str) -> bytes:
        if tensor.datatype != BYTES:
            # Refused for its type, whatever it holds.
            return b""
        elements = list(_strings(data, f"{path}.data", self._max_elements))
        if (count := math.prod(tensor.shape)) != len(elements):
            problem = f"{len(elements)} elements are given, the shape has {count}"
            raise FieldError(problem, f"{path}.data")
        return pack_bytes(elements)


def _strings(data: Any, path: str, limit: int) -> Iterator[bytes]:
    """Strings of a list, or of a list of lists."""
    rows = _of(list, "a list", data, path)
    count = 0
    for index, row in enumerate(rows):
        for element in row if type(row) is list else (row,):
            yield _of(str, "a string", element, f"{path}[{index}]").encode()
            count += 1
            if count > limit:
                raise FieldError(f"at most {limit} elements are taken", path)


def _read_outputs(message: ModelInferRequest, value: dict[str, Any]) -> dict[str, bool]:
    binary: dict[str, bool] = {}
    for index, output in _objects(value, "outputs"):
        path = f"outputs[{index}]"
        _only(output, {"name", "parameters"}, path)
        name = _get(output, "name", str, "a string", path)
        parameters = _parameters(output, path)
        asked = _take(parameters, _BINARY, bool, "a boolean", path)
        if asked is not None:
            binary[name] = asked
        _put(message.outputs.add(name=name).parameters, parameters, path)
    return binary


def _shape(value: dict[str, Any], path: str) -> list[int]:
    sizes = _get(value, "shape", list, "a list", path)
    for index, size in enumerate(sizes):
        if type(size) is not int or size not in _INT64:
            raise FieldError("expected a whole number", f"{path}.shape[{index}]")
    return list(sizes)


def _objects(value: dict[str, Any], name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for index, each in enumerate(_get(value, name, list, "a list", "", default=[])):
        yield index, _of(dict, "an object", each, f"{name}[{index}]")


def _parameters(value: dict[str, Any], path: str) -> dict[str, Any]:
    return dict(_get(value, "parameters", dict, "an object", path, default={}))


def _take(parameters: dict[str, Any], name: str, kind: type, what: str, path: str) -> Any:
    value = parameters.pop(name, None)
    return None if value is None else _of(kind, what, value, _join(path, f"parameters.{name}"))


def _put(into: Mapping[str, InferParameter], parameters: dict[str, Any], path: str) -> None:
    for name, value in parameters.items():
        parameter = into[name]
        if type(value) is bool:
            parameter.bool_param = value
        elif type(value) is int and value in _INT64:
            parameter.int64_param = value
        elif type(value) is float:
            parameter.double_param = value
        elif type(value) is str:
            parameter.string_param = value
        else:
            problem = "expected a boolean, a number or a string"
            raise FieldError(problem, _join(path, f"parameters.{name[:80]}"))


def _get(
    value: dict[str, Any], name: str, kind: type, what: str, path: str, default: Any = None
) -> Any:
    found = value.get(name)
    if found is None and default is not None:
        return default
    if found is None:
        raise FieldError("is needed", _join(path, name))
    return _of(kind, what, found, _join(path, name))


def _of(kind: type, what: str, value: Any, path: str) -> Any:
    if type(value) is kind:
        return value
    error = expected(what, value)
    error.path = path
    raise error


def _only(value: dict[str, Any], known: set[str], path: str) -> None:
    if unknown := value.keys() - known:
        raise FieldError("unknown field", _join(path, min(unknown)[:80]))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
