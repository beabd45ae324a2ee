from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class MachineProfile(_message.Message):
    __slots__ = ("machine_profile_id", "gpu_type", "machine_type", "spot")
    MACHINE_PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    GPU_TYPE_FIELD_NUMBER: _ClassVar[int]
    MACHINE_TYPE_FIELD_NUMBER: _ClassVar[int]
    SPOT_FIELD_NUMBER: _ClassVar[int]
    machine_profile_id: str
    gpu_type: str
    machine_type: str
    spot: bool
    def __init__(self, machine_profile_id: _Optional[str] = ..., gpu_type: _Optional[str] = ..., machine_type: _Optional[str] = ..., spot: _Optional[bool] = ...) -> None: ...
