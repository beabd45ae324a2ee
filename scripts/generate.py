"""Generates `gen/` from `proto/`: messages, their types, the gRPC stubs, and the comments.

And in `sdk/` what the client package has of it. The checks run this and expect no difference, so
nobody edits either.
"""

import shutil
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

import client_descriptors
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
# Comments are not in the generated modules; the OpenAPI document takes them from here.
DESCRIPTORS = "sie/descriptors.binpb"
CLIENT = ROOT / "sdk/src/sie_sdk/_grpc"


def main() -> int:
    out = ROOT / "gen"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    with tempfile.NamedTemporaryFile() as descriptors:
        status = protoc.main(_arguments(out, descriptors.name))
        if status == 0:
            everything = Path(descriptors.name).read_bytes()
            (out / DESCRIPTORS).write_bytes(_without_positions(everything))
            client_descriptors.write(everything, CLIENT)
    return int(status)


def _arguments(out: Path, descriptors: str) -> list[str]:
    return [
        "protoc",
        f"-I{ROOT / 'proto'}",
        f"-I{ROOT / 'third_party/googleapis'}",
        f"-I{files('grpc_tools') / '_proto'}",
        f"--python_out={out}",
        f"--pyi_out={out}",
        f"--grpc_python_out={out}",
        f"--descriptor_set_out={descriptors}",
        "--include_imports",
        "--include_source_info",
        *sorted(str(path) for path in (ROOT / "proto").rglob("*.proto")),
    ]


def _without_positions(descriptors: bytes) -> bytes:
    """Keeps only the comments, so that moving a line in a proto file changes nothing here."""
    everything = FileDescriptorSet.FromString(descriptors)
    files_ = FileDescriptorSet(file=(f for f in everything.file if f.name.startswith("sie/")))
    for file in files_.file:
        commented = [place for place in file.source_code_info.location if place.leading_comments]
        del file.source_code_info.location[:]
        for place in commented:
            file.source_code_info.location.add(
                path=place.path, leading_comments=place.leading_comments
            )
    return files_.SerializeToString(deterministic=True)


if __name__ == "__main__":
    sys.exit(main())
