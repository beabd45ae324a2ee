"""What to type next, ready to be copied."""

import json
import shlex
import sys
from importlib.util import find_spec

from cli.api_key import api_key
from cli.first_embedding import SENTENCE

# The SDK is installed apart from the services; without it the generated stubs do the same.
_WITH_SDK = """\
from sie_sdk import SIEClient
from sie_sdk.types import Item
print(SIEClient("http://{http}").encode("{model}", Item(text="{text}")))"""

_WITH_STUBS = """\
import grpc
from sie.inference.v1 import inference_service_pb2 as v1, inference_service_pb2_grpc as stubs
gateway = stubs.InferenceServiceStub(grpc.insecure_channel("{grpc}"))
print(gateway.Encode(v1.EncodeRequest(model="{model}", items=[{{"text": "{text}"}}])))"""


def curl(http: str, model: str) -> str:
    body = json.dumps({"items": [{"text": SENTENCE}]})
    return (
        f"curl -s http://{http}/v1/encode/{model} "
        f"-H 'Content-Type: application/json'{_token()} -d {shlex.quote(body)}"
    )


def grpcurl(grpc: str, model: str) -> str:
    body = json.dumps({"model": model, "items": [{"text": SENTENCE}]})
    method = "sie.inference.v1.InferenceService/Encode"
    return f"grpcurl -plaintext{_token()} -d {shlex.quote(body)} {grpc} {method}"


def _token() -> str:
    return ' -H "Authorization: Bearer $SIE_API_KEY"' if api_key() else ""


def python(http: str, grpc: str, model: str) -> str:
    """A shell command that runs a few lines of Python."""
    template = _WITH_SDK if find_spec("sie_sdk") else _WITH_STUBS
    code = template.format(http=http, grpc=grpc, model=model, text=SENTENCE)
    return f"{shlex.quote(sys.executable)} - <<'END'\n{code}\nEND"


def try_next(http: str, grpc: str, model: str) -> str:
    """A paragraph with every way to call."""
    address = "" if grpc.endswith(":9090") else f" --address {grpc}"
    # By the path it was started with: the virtual environment need not be active.
    command = f"{shlex.quote(sys.argv[0])} encode {model} {shlex.quote(SENTENCE)}{address}"
    return "\n\n".join(
        [curl(http, model), grpcurl(grpc, model), python(http, grpc, model), command]
    )
