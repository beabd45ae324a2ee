"""Tensors as a ModelInferResponse."""

from typing import Any

from gateway.oip.plan import VERSION
from gateway.oip.tensors import BYTES, Tensor, array, unpack_bytes
from gateway.oip.verbs.verb import Given
from servicekit.packed import packed_twin
from sie.oip.open_inference_pb2 import ModelInferRequest, ModelInferResponse

_PackedResponse = packed_twin(ModelInferResponse)
# There is no typed field for them.
_RAW_ALONE = {"FP16"}
_INTEGERS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT32": "int_contents",
    "UINT8": "uint_contents",
}


def response(request: ModelInferRequest, given: Given) -> bytes:
    """The response, serialised: raw where the request was raw, typed where it was typed."""
    raw = bool(request.raw_input_contents) or any(
        tensor.datatype in _RAW_ALONE for tensor in given.tensors
    )
    message = _PackedResponse(model_name=request.model_name, model_version=VERSION, id=request.id)
    for name, value in given.parameters.items():
        message.parameters[name].string_param = value
    for tensor in given.tensors:
        output = message.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        if raw:
            message.raw_output_contents.append(tensor.raw)
        else:
            _put(output.contents, tensor)
    return bytes(message.SerializeToString())


def _put(contents: Any, tensor: Tensor) -> None:
    if tensor.datatype == BYTES:
        contents.bytes_contents.extend(unpack_bytes(tensor.raw, tensor.shape[0]))
    elif tensor.datatype == "FP32":
        # Bytes, in the packed twin.
        contents.fp32_contents = tensor.raw
    else:
        getattr(contents, _INTEGERS[tensor.datatype]).extend(array(tensor).tolist())
