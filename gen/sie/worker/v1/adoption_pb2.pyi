from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class AdoptionOffer(_message.Message):
    __slots__ = ("model_id", "registry_revision")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_REVISION_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    registry_revision: int
    def __init__(self, model_id: _Optional[str] = ..., registry_revision: _Optional[int] = ...) -> None: ...

class AdoptionAnswer(_message.Message):
    __slots__ = ("worker_id", "accepted", "reason")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    worker_id: str
    accepted: bool
    reason: str
    def __init__(self, worker_id: _Optional[str] = ..., accepted: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...
