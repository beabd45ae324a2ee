import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from sie.errors.v1 import error_pb2 as _error_pb2
from sie.work.v1 import work_item_pb2 as _work_item_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReplayState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPLAY_STATE_UNSPECIFIED: _ClassVar[ReplayState]
    REPLAY_STATE_ANSWERED: _ClassVar[ReplayState]
    REPLAY_STATE_FAILED: _ClassVar[ReplayState]
    REPLAY_STATE_TIMED_OUT: _ClassVar[ReplayState]
REPLAY_STATE_UNSPECIFIED: ReplayState
REPLAY_STATE_ANSWERED: ReplayState
REPLAY_STATE_FAILED: ReplayState
REPLAY_STATE_TIMED_OUT: ReplayState

class DeadLetter(_message.Message):
    __slots__ = ("letter_id", "reason", "attempts", "died_at", "pool", "machine_profile", "bundle", "model_id", "request_id", "tenant", "verb", "first_item", "item_count", "size_bytes", "work_item")
    LETTER_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    DIED_AT_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    MACHINE_PROFILE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    VERB_FIELD_NUMBER: _ClassVar[int]
    FIRST_ITEM_FIELD_NUMBER: _ClassVar[int]
    ITEM_COUNT_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    WORK_ITEM_FIELD_NUMBER: _ClassVar[int]
    letter_id: str
    reason: str
    attempts: int
    died_at: _timestamp_pb2.Timestamp
    pool: str
    machine_profile: str
    bundle: str
    model_id: str
    request_id: str
    tenant: str
    verb: str
    first_item: int
    item_count: int
    size_bytes: int
    work_item: _work_item_pb2.WorkItem
    def __init__(self, letter_id: _Optional[str] = ..., reason: _Optional[str] = ..., attempts: _Optional[int] = ..., died_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., pool: _Optional[str] = ..., machine_profile: _Optional[str] = ..., bundle: _Optional[str] = ..., model_id: _Optional[str] = ..., request_id: _Optional[str] = ..., tenant: _Optional[str] = ..., verb: _Optional[str] = ..., first_item: _Optional[int] = ..., item_count: _Optional[int] = ..., size_bytes: _Optional[int] = ..., work_item: _Optional[_Union[_work_item_pb2.WorkItem, _Mapping]] = ...) -> None: ...

class ReplayOutcome(_message.Message):
    __slots__ = ("letter_id", "state", "worker_id", "error")
    LETTER_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    letter_id: str
    state: ReplayState
    worker_id: str
    error: _error_pb2.Error
    def __init__(self, letter_id: _Optional[str] = ..., state: _Optional[_Union[ReplayState, str]] = ..., worker_id: _Optional[str] = ..., error: _Optional[_Union[_error_pb2.Error, _Mapping]] = ...) -> None: ...
