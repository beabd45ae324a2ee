"""ModelInferResponse to REST, and the protocol's other answers as JSON."""

from typing import Any

import numpy as np
import orjson

from gateway.http import response as http_response
from gateway.http.response import JSON, Response
from gateway.oip.rest_in import HEADER_LENGTH, InferBody
from gateway.oip.tensors import BYTES, NUMPY_TYPES, unpack_bytes
from servicekit.errors import SieError
from sie.oip import open_inference_pb2 as pb

_BINARY_BODY = "application/octet-stream"
_ACCEPTED, _UNAVAILABLE = 202, 503


def infer_response(body: bytes, asked: InferBody) -> Response:
    """An infer response: outputs in JSON, or in binary after it where asked for."""
    message = pb.ModelInferResponse.FromString(body)
    outputs, tail = [], []
    for output, raw in zip(message.outputs, message.raw_output_contents, strict=True):
        shown: dict[str, Any] = {
            "name": output.name,
            "datatype": output.datatype,
            "shape": list(output.shape),
        }
        if asked.binary.get(output.name, asked.binary_by_default):
            shown["parameters"] = {"binary_data_size": len(raw)}
            tail.append(raw)
        else:
            shown["data"] = _data(output.datatype, output.shape, raw)
        outputs.append(shown)
    value: dict[str, Any] = {"id": message.id} if message.id else {}
    value |= {"model_name": message.model_name, "model_version": message.model_version}
    if message.parameters:
        parameters = message.parameters.items()
        value["parameters"] = {name: each.string_param for name, each in parameters}
    head = orjson.dumps(value | {"outputs": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)
    if not tail:
        return Response(200, head, {"content-type": JSON})
    headers = {"content-type": _BINARY_BODY, HEADER_LENGTH: str(len(head))}
    return Response(200, b"".join([head, *tail]), headers)


def _data(datatype: str, shape: Any, raw: bytes) -> Any:
    if datatype == BYTES:
        return [element.decode() for element in unpack_bytes(raw, shape[0])]
    return np.frombuffer(raw, NUMPY_TYPES[datatype])


def server_metadata(message: pb.ServerMetadataResponse) -> dict[str, Any]:
    return {
        "name": message.name,
        "version": message.version,
        "extensions": list(message.extensions),
    }


def model_metadata(message: pb.ModelMetadataResponse) -> dict[str, Any]:
    return {
        "name": message.name,
        "versions": list(message.versions),
        "platform": message.platform,
        "inputs": [_tensor(tensor) for tensor in message.inputs],
        "outputs": [_tensor(tensor) for tensor in message.outputs],
    }


def _tensor(tensor: pb.ModelMetadataResponse.TensorMetadata) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}


def repository_index(message: pb.RepositoryIndexResponse) -> list[dict[str, Any]]:
    return [
        {"name": each.name, "version": each.version, "state": each.state, "reason": each.reason}
        for each in message.models
    ]


def error_response(error: SieError, request_id: str) -> Response:
    """The error as `{"error": text}`. Capacity on its way is 503: 202 would be success here."""
    response = http_response.error_response(error, request_id)
    status = _UNAVAILABLE if response.status == _ACCEPTED else response.status
    return response._replace(status=status, body=orjson.dumps({"error": error.message}))
