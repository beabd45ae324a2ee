from google.api import field_behavior_pb2 as _field_behavior_pb2
from sie.registry.v1 import bundle_pb2 as _bundle_pb2
from sie.registry.v1 import machine_profile_pb2 as _machine_profile_pb2
from sie.registry.v1 import model_pb2 as _model_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ResourceType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESOURCE_TYPE_UNSPECIFIED: _ClassVar[ResourceType]
    RESOURCE_TYPE_MODEL: _ClassVar[ResourceType]
    RESOURCE_TYPE_BUNDLE: _ClassVar[ResourceType]
    RESOURCE_TYPE_MACHINE_PROFILE: _ClassVar[ResourceType]

class ChangeAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANGE_ACTION_UNSPECIFIED: _ClassVar[ChangeAction]
    CHANGE_ACTION_CREATED: _ClassVar[ChangeAction]
    CHANGE_ACTION_UPDATED: _ClassVar[ChangeAction]
    CHANGE_ACTION_DELETED: _ClassVar[ChangeAction]
RESOURCE_TYPE_UNSPECIFIED: ResourceType
RESOURCE_TYPE_MODEL: ResourceType
RESOURCE_TYPE_BUNDLE: ResourceType
RESOURCE_TYPE_MACHINE_PROFILE: ResourceType
CHANGE_ACTION_UNSPECIFIED: ChangeAction
CHANGE_ACTION_CREATED: ChangeAction
CHANGE_ACTION_UPDATED: ChangeAction
CHANGE_ACTION_DELETED: ChangeAction

class RegistryDocument(_message.Message):
    __slots__ = ("revision", "machine_profiles", "bundles", "models")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    MACHINE_PROFILES_FIELD_NUMBER: _ClassVar[int]
    BUNDLES_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    revision: int
    machine_profiles: _containers.RepeatedCompositeFieldContainer[_machine_profile_pb2.MachineProfile]
    bundles: _containers.RepeatedCompositeFieldContainer[_bundle_pb2.Bundle]
    models: _containers.RepeatedCompositeFieldContainer[_model_pb2.Model]
    def __init__(self, revision: _Optional[int] = ..., machine_profiles: _Optional[_Iterable[_Union[_machine_profile_pb2.MachineProfile, _Mapping]]] = ..., bundles: _Optional[_Iterable[_Union[_bundle_pb2.Bundle, _Mapping]]] = ..., models: _Optional[_Iterable[_Union[_model_pb2.Model, _Mapping]]] = ...) -> None: ...

class ResourceChange(_message.Message):
    __slots__ = ("resource_type", "id", "action", "fields")
    RESOURCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    resource_type: ResourceType
    id: str
    action: ChangeAction
    fields: _containers.RepeatedCompositeFieldContainer[FieldChange]
    def __init__(self, resource_type: _Optional[_Union[ResourceType, str]] = ..., id: _Optional[str] = ..., action: _Optional[_Union[ChangeAction, str]] = ..., fields: _Optional[_Iterable[_Union[FieldChange, _Mapping]]] = ...) -> None: ...

class FieldChange(_message.Message):
    __slots__ = ("path", "before", "after")
    PATH_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    path: str
    before: str
    after: str
    def __init__(self, path: _Optional[str] = ..., before: _Optional[str] = ..., after: _Optional[str] = ...) -> None: ...
