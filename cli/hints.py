"""What to type next, ready to be copied."""

import json
import shlex
import sys
from importlib.util import find_spec

from cli.api_key import api_key
from cli.first_embedding import SENTENCE
from cli.tls import Tls

# The SDK is installed apart from the services; without it the generated stubs do the same.
_WITH_SDK = """\
from sie_sdk import SIEClient
from sie_sdk.types import Item
client = SIEClient("{http}"{files})
print(client.encode("{model}", Item(text="{text}")))"""

_WITH_STUBS = """\
import grpc
from sie.inference.v1 import inference_service_pb2 as v1, inference_service_pb2_grpc as stubs
gateway = stubs.InferenceServiceStub(grpc.{channel})
print(gateway.Encode(v1.EncodeRequest(model="{model}", items=[{{"text": "{text}"}}])))"""


def curl(http: str, model: str, tls: Tls) -> str:
    body = json.dumps({"items": [{"text": SENTENCE}]})
    files = _flags(tls, "--cacert", "--cert", "--key")
    return (
        f"curl -s{files} {http}/v1/encode/{model} "
        f"-H 'Content-Type: application/json'{_token()} -d {shlex.quote(body)}"
    )


def grpcurl(grpc: str, model: str, tls: Tls) -> str:
    body = json.dumps({"model": model, "items": [{"text": SENTENCE}]})
    method = "sie.inference.v1.InferenceService/Encode"
    how = _flags(tls, "-cacert", "-cert", "-key") or " -plaintext"
    return f"grpcurl{how}{_token()} -d {shlex.quote(body)} {grpc} {method}"


def _token() -> str:
    return ' -H "Authorization: Bearer $SIE_API_KEY"' if api_key() else ""


def _flags(tls: Tls, ca_file: str, certificate: str, private_key: str) -> str:
    names = (ca_file, certificate, private_key)
    files = (tls.ca_file, tls.certificate, tls.key_file)
    given = [
        f" {name} {shlex.quote(str(file))}" for name, file in zip(names, files, strict=True) if file
    ]
    return "".join(given)


def python(http: str, grpc: str, model: str, tls: Tls) -> str:
    """A shell command that runs a few lines of Python."""
    files = {"ca_file": tls.ca_file, "cert_file": tls.certificate, "key_file": tls.key_file}
    given = "".join(f", {name}={str(file)!r}" for name, file in files.items() if file)
    template = _WITH_SDK if find_spec("sie_sdk") else _WITH_STUBS
    code = template.format(
        http=http, files=given, channel=_channel(grpc, tls), model=model, text=SENTENCE
    )
    return f"{shlex.quote(sys.executable)} - <<'END'\n{code}\nEND"


def _channel(grpc: str, tls: Tls) -> str:
    if not tls.is_given:
        return f'insecure_channel("{grpc}")'
    read = [
        f"open({str(file)!r}, 'rb').read()" if file else "None"
        for file in (tls.ca_file, tls.key_file, tls.certificate)
    ]
    return f'secure_channel("{grpc}", grpc.ssl_channel_credentials({", ".join(read)}))'


def try_next(http: str, grpc: str, model: str, tls: Tls) -> str:
    """A paragraph with every way to call.

    Args:
        http: URL of the HTTP face.
        grpc: `host:port` of the other.
        model: what to ask.
        tls: certificates, where they are needed.
    """
    is_usual = grpc.endswith(":9090") and not tls.is_given
    address = "" if is_usual else f" --address {grpc}"
    address += _flags(tls, "--ca-file", "--certificate", "--private-key")
    # By the path it was started with: the virtual environment need not be active.
    command = f"{shlex.quote(sys.argv[0])} encode {model} {shlex.quote(SENTENCE)}{address}"
    return "\n\n".join(
        [
            curl(http, model, tls),
            grpcurl(grpc, model, tls),
            python(http, grpc, model, tls),
            command,
        ]
    )
