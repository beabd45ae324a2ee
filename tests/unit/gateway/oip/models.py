"""Models and requests of these tests."""

from gateway.oip.tensors import pack_bytes
from sie.oip.open_inference_pb2 import ModelInferRequest
from sie.registry.v1.model_pb2 import Model

TEXT, IMAGE = "INPUT_TYPE_TEXT", "INPUT_TYPE_IMAGE"

DENSE = Model(model_id="dense", tasks={"encode": {"dense": {"dims": 2}}})
ALL = Model(
    model_id="all",
    tasks={
        "encode": {"dense": {"dims": 2}, "sparse": {"dims": 9}, "multivector": {"dims": 2}},
    },
)
CLIP = Model(model_id="clip", inputs=[TEXT, IMAGE], tasks={"encode": {"dense": {"dims": 2}}})
RERANKER = Model(model_id="reranker", tasks={"score": {}})
NER = Model(model_id="ner", tasks={"extract": {}})
BOTH = Model(model_id="both", tasks={"encode": {"dense": {"dims": 2}}, "extract": {}})


def bytes_input(name, elements, **more):
    return {"name": name, "datatype": "BYTES", "shape": [len(elements)], **more}


def asking(parameters=None, outputs=(), raw=True, **inputs):
    """A request of raw or typed inputs given as lists of bytes."""
    request = ModelInferRequest(model_name="m", id="7")
    for name, elements in inputs.items():
        tensor = request.inputs.add(**bytes_input(name, elements))
        if raw:
            request.raw_input_contents.append(pack_bytes(elements))
        else:
            tensor.contents.bytes_contents.extend(elements)
    for name in outputs:
        request.outputs.add(name=name)
    kinds = {bool: "bool_param", int: "int64_param", str: "string_param", float: "double_param"}
    for name, value in (parameters or {}).items():
        setattr(request.parameters[name], kinds[type(value)], value)
    return request
