from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from sie.registry.v1 import bundle_pb2 as _bundle_pb2
from sie.registry.v1 import model_pb2 as _model_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ApplyModelRequest(_message.Message):
    __slots__ = ("model", "expected_revision", "dry_run")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.Model
    expected_revision: int
    dry_run: bool
    def __init__(self, model: _Optional[_Union[_model_pb2.Model, _Mapping]] = ..., expected_revision: _Optional[int] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class ApplyModelResponse(_message.Message):
    __slots__ = ("model", "revision", "changed")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.Model
    revision: int
    changed: bool
    def __init__(self, model: _Optional[_Union[_model_pb2.Model, _Mapping]] = ..., revision: _Optional[int] = ..., changed: _Optional[bool] = ...) -> None: ...

class DeleteModelRequest(_message.Message):
    __slots__ = ("model_id", "expected_revision")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    expected_revision: int
    def __init__(self, model_id: _Optional[str] = ..., expected_revision: _Optional[int] = ...) -> None: ...

class DeleteModelResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class ApplyBundleRequest(_message.Message):
    __slots__ = ("bundle", "expected_revision", "dry_run")
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    bundle: _bundle_pb2.Bundle
    expected_revision: int
    dry_run: bool
    def __init__(self, bundle: _Optional[_Union[_bundle_pb2.Bundle, _Mapping]] = ..., expected_revision: _Optional[int] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class ApplyBundleResponse(_message.Message):
    __slots__ = ("bundle", "revision", "changed")
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    bundle: _bundle_pb2.Bundle
    revision: int
    changed: bool
    def __init__(self, bundle: _Optional[_Union[_bundle_pb2.Bundle, _Mapping]] = ..., revision: _Optional[int] = ..., changed: _Optional[bool] = ...) -> None: ...
