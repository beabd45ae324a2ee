"""The JSON of other APIs' vectors."""

import base64
from typing import Any

import numpy as np

from gateway.transcoder.form import Form
from sie.compat.v1.openai_service_pb2 import EncodingFormat

_NUMBERS = {"type": "array", "items": {"type": "number"}}


def _render_openai(twin: Any) -> dict[str, Any]:
    vector: Any = np.frombuffer(twin.embedding, "<f4")
    if twin.encoding_format == EncodingFormat.ENCODING_FORMAT_BASE64:
        vector = base64.b64encode(twin.embedding).decode()
    return {"object": twin.object, "index": twin.index, "embedding": vector}


def _render_row(twin: Any) -> Any:
    return np.frombuffer(twin.values, "<f4")


FORMS = {
    "sie.compat.v1.OpenAIEmbedding": Form(
        render=_render_openai,
        schema={
            "type": "object",
            "properties": {
                "object": {"const": "embedding"},
                "index": {"type": "integer"},
                "embedding": {"oneOf": [_NUMBERS, {"type": "string", "contentEncoding": "base64"}]},
            },
        },
    ),
    "sie.compat.v1.EmbeddingRow": Form(render=_render_row, schema=_NUMBERS),
}
