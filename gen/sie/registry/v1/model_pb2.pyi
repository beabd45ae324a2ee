from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from sie.inference.v1 import inference_service_pb2 as _inference_service_pb2
from sie.inference.v1 import model_service_pb2 as _model_service_pb2
from sie.inference.v1 import tensor_pb2 as _tensor_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Precision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRECISION_UNSPECIFIED: _ClassVar[Precision]
    PRECISION_FLOAT32: _ClassVar[Precision]
    PRECISION_FLOAT16: _ClassVar[Precision]
    PRECISION_BFLOAT16: _ClassVar[Precision]
    PRECISION_INT8: _ClassVar[Precision]

class Pooling(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POOLING_UNSPECIFIED: _ClassVar[Pooling]
    POOLING_MEAN: _ClassVar[Pooling]
    POOLING_CLS: _ClassVar[Pooling]
    POOLING_LAST_TOKEN: _ClassVar[Pooling]
PRECISION_UNSPECIFIED: Precision
PRECISION_FLOAT32: Precision
PRECISION_FLOAT16: Precision
PRECISION_BFLOAT16: Precision
PRECISION_INT8: Precision
POOLING_UNSPECIFIED: Pooling
POOLING_MEAN: Pooling
POOLING_CLS: Pooling
POOLING_LAST_TOKEN: Pooling

class Model(_message.Message):
    __slots__ = ("model_id", "sources", "inputs", "tasks", "max_sequence_length", "profiles", "bundles", "machine_profile")
    class ProfilesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Profile
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Profile, _Mapping]] = ...) -> None: ...
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    MAX_SEQUENCE_LENGTH_FIELD_NUMBER: _ClassVar[int]
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    BUNDLES_FIELD_NUMBER: _ClassVar[int]
    MACHINE_PROFILE_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    sources: _containers.RepeatedCompositeFieldContainer[ModelSource]
    inputs: _containers.RepeatedScalarFieldContainer[_model_service_pb2.InputType]
    tasks: Tasks
    max_sequence_length: int
    profiles: _containers.MessageMap[str, Profile]
    bundles: _containers.RepeatedScalarFieldContainer[str]
    machine_profile: str
    def __init__(self, model_id: _Optional[str] = ..., sources: _Optional[_Iterable[_Union[ModelSource, _Mapping]]] = ..., inputs: _Optional[_Iterable[_Union[_model_service_pb2.InputType, str]]] = ..., tasks: _Optional[_Union[Tasks, _Mapping]] = ..., max_sequence_length: _Optional[int] = ..., profiles: _Optional[_Mapping[str, Profile]] = ..., bundles: _Optional[_Iterable[str]] = ..., machine_profile: _Optional[str] = ...) -> None: ...

class ModelSource(_message.Message):
    __slots__ = ("directory", "python_package", "hugging_face", "url", "sha256")
    class Sha256Entry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    PYTHON_PACKAGE_FIELD_NUMBER: _ClassVar[int]
    HUGGING_FACE_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    directory: str
    python_package: PythonPackage
    hugging_face: HuggingFace
    url: str
    sha256: _containers.ScalarMap[str, str]
    def __init__(self, directory: _Optional[str] = ..., python_package: _Optional[_Union[PythonPackage, _Mapping]] = ..., hugging_face: _Optional[_Union[HuggingFace, _Mapping]] = ..., url: _Optional[str] = ..., sha256: _Optional[_Mapping[str, str]] = ...) -> None: ...

class PythonPackage(_message.Message):
    __slots__ = ("package", "path")
    PACKAGE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    package: str
    path: str
    def __init__(self, package: _Optional[str] = ..., path: _Optional[str] = ...) -> None: ...

class HuggingFace(_message.Message):
    __slots__ = ("repo", "revision")
    REPO_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    repo: str
    revision: str
    def __init__(self, repo: _Optional[str] = ..., revision: _Optional[str] = ...) -> None: ...

class Tasks(_message.Message):
    __slots__ = ("encode", "score", "extract")
    ENCODE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    EXTRACT_FIELD_NUMBER: _ClassVar[int]
    encode: EncodeTask
    score: ScoreTask
    extract: ExtractTask
    def __init__(self, encode: _Optional[_Union[EncodeTask, _Mapping]] = ..., score: _Optional[_Union[ScoreTask, _Mapping]] = ..., extract: _Optional[_Union[ExtractTask, _Mapping]] = ...) -> None: ...

class EncodeTask(_message.Message):
    __slots__ = ("dense", "sparse", "multivector")
    DENSE_FIELD_NUMBER: _ClassVar[int]
    SPARSE_FIELD_NUMBER: _ClassVar[int]
    MULTIVECTOR_FIELD_NUMBER: _ClassVar[int]
    dense: OutputSpec
    sparse: OutputSpec
    multivector: OutputSpec
    def __init__(self, dense: _Optional[_Union[OutputSpec, _Mapping]] = ..., sparse: _Optional[_Union[OutputSpec, _Mapping]] = ..., multivector: _Optional[_Union[OutputSpec, _Mapping]] = ...) -> None: ...

class OutputSpec(_message.Message):
    __slots__ = ("dims",)
    DIMS_FIELD_NUMBER: _ClassVar[int]
    dims: int
    def __init__(self, dims: _Optional[int] = ...) -> None: ...

class ScoreTask(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ExtractTask(_message.Message):
    __slots__ = ("labels",)
    LABELS_FIELD_NUMBER: _ClassVar[int]
    labels: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, labels: _Optional[_Iterable[str]] = ...) -> None: ...

class Profile(_message.Message):
    __slots__ = ("extends", "precision", "max_batch_tokens", "pooling", "normalize", "query_prompt", "document_prompt", "output_types", "output_dtype", "truncate", "options")
    EXTENDS_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_TOKENS_FIELD_NUMBER: _ClassVar[int]
    POOLING_FIELD_NUMBER: _ClassVar[int]
    NORMALIZE_FIELD_NUMBER: _ClassVar[int]
    QUERY_PROMPT_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_PROMPT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TYPES_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_DTYPE_FIELD_NUMBER: _ClassVar[int]
    TRUNCATE_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    extends: str
    precision: Precision
    max_batch_tokens: int
    pooling: Pooling
    normalize: bool
    query_prompt: str
    document_prompt: str
    output_types: _containers.RepeatedScalarFieldContainer[_tensor_pb2.OutputType]
    output_dtype: _tensor_pb2.DataType
    truncate: _inference_service_pb2.Truncate
    options: _struct_pb2.Struct
    def __init__(self, extends: _Optional[str] = ..., precision: _Optional[_Union[Precision, str]] = ..., max_batch_tokens: _Optional[int] = ..., pooling: _Optional[_Union[Pooling, str]] = ..., normalize: _Optional[bool] = ..., query_prompt: _Optional[str] = ..., document_prompt: _Optional[str] = ..., output_types: _Optional[_Iterable[_Union[_tensor_pb2.OutputType, str]]] = ..., output_dtype: _Optional[_Union[_tensor_pb2.DataType, str]] = ..., truncate: _Optional[_Union[_inference_service_pb2.Truncate, str]] = ..., options: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...
