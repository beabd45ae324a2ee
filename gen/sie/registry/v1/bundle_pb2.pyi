from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Bundle(_message.Message):
    __slots__ = ("bundle_id", "priority", "machine_profile")
    BUNDLE_ID_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    MACHINE_PROFILE_FIELD_NUMBER: _ClassVar[int]
    bundle_id: str
    priority: int
    machine_profile: str
    def __init__(self, bundle_id: _Optional[str] = ..., priority: _Optional[int] = ..., machine_profile: _Optional[str] = ...) -> None: ...
