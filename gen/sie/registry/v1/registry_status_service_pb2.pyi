from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetModelStatusRequest(_message.Message):
    __slots__ = ("model_id",)
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    def __init__(self, model_id: _Optional[str] = ...) -> None: ...

class GetModelStatusResponse(_message.Message):
    __slots__ = ("model_id", "revision", "all_bundles_acked", "bundles", "gateways")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ALL_BUNDLES_ACKED_FIELD_NUMBER: _ClassVar[int]
    BUNDLES_FIELD_NUMBER: _ClassVar[int]
    GATEWAYS_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    revision: int
    all_bundles_acked: bool
    bundles: _containers.RepeatedCompositeFieldContainer[BundleStatus]
    gateways: _containers.RepeatedCompositeFieldContainer[ViewStatus]
    def __init__(self, model_id: _Optional[str] = ..., revision: _Optional[int] = ..., all_bundles_acked: _Optional[bool] = ..., bundles: _Optional[_Iterable[_Union[BundleStatus, _Mapping]]] = ..., gateways: _Optional[_Iterable[_Union[ViewStatus, _Mapping]]] = ...) -> None: ...

class BundleStatus(_message.Message):
    __slots__ = ("bundle_id", "total_eligible_workers", "acked_workers", "pending_workers", "acked", "workers")
    BUNDLE_ID_FIELD_NUMBER: _ClassVar[int]
    TOTAL_ELIGIBLE_WORKERS_FIELD_NUMBER: _ClassVar[int]
    ACKED_WORKERS_FIELD_NUMBER: _ClassVar[int]
    PENDING_WORKERS_FIELD_NUMBER: _ClassVar[int]
    ACKED_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    bundle_id: str
    total_eligible_workers: int
    acked_workers: _containers.RepeatedScalarFieldContainer[str]
    pending_workers: _containers.RepeatedScalarFieldContainer[str]
    acked: bool
    workers: _containers.RepeatedCompositeFieldContainer[ViewStatus]
    def __init__(self, bundle_id: _Optional[str] = ..., total_eligible_workers: _Optional[int] = ..., acked_workers: _Optional[_Iterable[str]] = ..., pending_workers: _Optional[_Iterable[str]] = ..., acked: _Optional[bool] = ..., workers: _Optional[_Iterable[_Union[ViewStatus, _Mapping]]] = ...) -> None: ...

class ViewStatus(_message.Message):
    __slots__ = ("id", "revision", "applied")
    ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    id: str
    revision: int
    applied: bool
    def __init__(self, id: _Optional[str] = ..., revision: _Optional[int] = ..., applied: _Optional[bool] = ...) -> None: ...
