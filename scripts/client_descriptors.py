"""What the client package needs of the contract: its services, and the status of each reason.

Names, numbers and types only: without comments, and without options, whose files it would need.
"""

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

ROOTS = (
    "sie/inference/v1/inference_service.proto",
    "sie/inference/v1/model_service.proto",
    "sie/pool/v1/pool_service.proto",
    "sie/batch/v1/batch_service.proto",
    "sie/batch/v1/file_service.proto",
)
# Holds the vectors, which are declared as bytes: so they are read without touching a number.
_VECTORS = "sie/inference/v1/tensor.proto"
_OPTIONS_ONLY = ("google/api/", "google/rpc/", "sie/errors/v1/error_spec.proto")
_REASONS = "sie.errors.v1.ErrorReason"
_SPEC = "sie.errors.v1.spec"

_Field = descriptor_pb2.FieldDescriptorProto


def write(descriptors: bytes, folder: Path) -> None:
    """Writes both files from a serialised FileDescriptorSet with every import."""
    (folder / "descriptors.binpb").write_bytes(_own(descriptors))
    (folder / "reasons.py").write_text(_reasons(descriptors))


def _own(descriptors: bytes) -> bytes:
    by_name = {file.name: file for file in FileDescriptorSet.FromString(descriptors).file}
    kept: dict[str, FileDescriptorProto] = {}

    def keep(name: str) -> None:
        if name in kept:
            return
        file = by_name[name]
        wanted = [each for each in file.dependency if not each.startswith(_OPTIONS_ONLY)]
        del file.dependency[:]
        file.dependency.extend(wanted)
        for each in wanted:
            keep(each)
        kept[name] = file

    for root in ROOTS:
        keep(root)
    for message in kept[_VECTORS].message_type:
        for field in message.field:
            if field.label == _Field.LABEL_REPEATED:
                field.label, field.type = _Field.LABEL_OPTIONAL, _Field.TYPE_BYTES
    own = FileDescriptorSet(file=kept.values())
    for file in own.file:
        file.ClearField("source_code_info")
    # Options of our own are unknown to whoever has not imported their files.
    own.DiscardUnknownFields()
    return own.SerializeToString(deterministic=True)


def _reasons(descriptors: bytes) -> str:
    pool = descriptor_pool.DescriptorPool()
    for file in FileDescriptorSet.FromString(descriptors).file:
        pool.Add(file)
    options: Any = message_factory.GetMessageClass(
        pool.FindMessageTypeByName("google.protobuf.EnumValueOptions")
    )
    message_factory.GetMessageClassesForFiles(["sie/errors/v1/error_spec.proto"], pool)
    spec = pool.FindExtensionByName(_SPEC)
    lines = [
        f'    "{value.name.removeprefix("ERROR_REASON_")}": '
        f"{options.FromString(value.GetOptions().SerializeToString()).Extensions[spec].http_status},"
        for value in pool.FindEnumTypeByName(_REASONS).values
        if value.number
    ]
    return "\n".join(
        [
            '"""Generated from proto/: the HTTP status of each reason for which calls fail."""',
            "",
            "HTTP_STATUS = {",
            *lines,
            "}",
            "",
        ]
    )
