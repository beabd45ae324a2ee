"""Every message type with a JSON form of its own."""

from typing import Any

from gateway.transcoder import compat, tensors, well_known
from gateway.transcoder.form import Form
from servicekit.errors import from_proto, json_of

_ERROR_SCHEMA = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {
        "code": {"type": "string", "description": "Reason, such as `MODEL_NOT_FOUND`."},
        "message": {"type": "string"},
        "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
        "retry_after_s": {"type": "number", "description": "When to try again."},
        "request_id": {"type": "string"},
    },
}


def _render_error(message: Any) -> Any:
    return json_of(from_proto(message))["error"]


FORMS: dict[str, Form] = {
    **well_known.FORMS,
    **tensors.FORMS,
    **compat.FORMS,
    # The error of one item looks like the error of a whole call.
    "sie.errors.v1.Error": Form(render=_render_error, schema=_ERROR_SCHEMA),
}
