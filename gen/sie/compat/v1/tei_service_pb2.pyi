from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from sie.compat.v1 import inputs_pb2 as _inputs_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EmbedRequest(_message.Message):
    __slots__ = ("inputs", "normalize", "truncate", "dimensions", "truncation_direction", "prompt_name")
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    NORMALIZE_FIELD_NUMBER: _ClassVar[int]
    TRUNCATE_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATION_DIRECTION_FIELD_NUMBER: _ClassVar[int]
    PROMPT_NAME_FIELD_NUMBER: _ClassVar[int]
    inputs: _inputs_pb2.Inputs
    normalize: bool
    truncate: bool
    dimensions: int
    truncation_direction: str
    prompt_name: str
    def __init__(self, inputs: _Optional[_Union[_inputs_pb2.Inputs, _Mapping]] = ..., normalize: _Optional[bool] = ..., truncate: _Optional[bool] = ..., dimensions: _Optional[int] = ..., truncation_direction: _Optional[str] = ..., prompt_name: _Optional[str] = ...) -> None: ...

class EmbeddingRow(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class EmbedResponse(_message.Message):
    __slots__ = ("embeddings",)
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    embeddings: _containers.RepeatedCompositeFieldContainer[EmbeddingRow]
    def __init__(self, embeddings: _Optional[_Iterable[_Union[EmbeddingRow, _Mapping]]] = ...) -> None: ...

class EmbedAllRequest(_message.Message):
    __slots__ = ("inputs", "truncate", "truncation_direction", "prompt_name")
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATE_FIELD_NUMBER: _ClassVar[int]
    TRUNCATION_DIRECTION_FIELD_NUMBER: _ClassVar[int]
    PROMPT_NAME_FIELD_NUMBER: _ClassVar[int]
    inputs: _inputs_pb2.Inputs
    truncate: bool
    truncation_direction: str
    prompt_name: str
    def __init__(self, inputs: _Optional[_Union[_inputs_pb2.Inputs, _Mapping]] = ..., truncate: _Optional[bool] = ..., truncation_direction: _Optional[str] = ..., prompt_name: _Optional[str] = ...) -> None: ...

class EmbeddingMatrix(_message.Message):
    __slots__ = ("columns", "values")
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    columns: int
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, columns: _Optional[int] = ..., values: _Optional[_Iterable[float]] = ...) -> None: ...

class EmbedAllResponse(_message.Message):
    __slots__ = ("embeddings",)
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    embeddings: _containers.RepeatedCompositeFieldContainer[EmbeddingMatrix]
    def __init__(self, embeddings: _Optional[_Iterable[_Union[EmbeddingMatrix, _Mapping]]] = ...) -> None: ...

class EmbedSparseRequest(_message.Message):
    __slots__ = ("inputs", "truncate", "truncation_direction", "prompt_name")
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATE_FIELD_NUMBER: _ClassVar[int]
    TRUNCATION_DIRECTION_FIELD_NUMBER: _ClassVar[int]
    PROMPT_NAME_FIELD_NUMBER: _ClassVar[int]
    inputs: _inputs_pb2.Inputs
    truncate: bool
    truncation_direction: str
    prompt_name: str
    def __init__(self, inputs: _Optional[_Union[_inputs_pb2.Inputs, _Mapping]] = ..., truncate: _Optional[bool] = ..., truncation_direction: _Optional[str] = ..., prompt_name: _Optional[str] = ...) -> None: ...

class SparseRow(_message.Message):
    __slots__ = ("indices", "values")
    INDICES_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    indices: _containers.RepeatedScalarFieldContainer[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, indices: _Optional[_Iterable[int]] = ..., values: _Optional[_Iterable[float]] = ...) -> None: ...

class EmbedSparseResponse(_message.Message):
    __slots__ = ("embeddings",)
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    embeddings: _containers.RepeatedCompositeFieldContainer[SparseRow]
    def __init__(self, embeddings: _Optional[_Iterable[_Union[SparseRow, _Mapping]]] = ...) -> None: ...

class SimilarityRequest(_message.Message):
    __slots__ = ("inputs", "parameters")
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    inputs: SimilarityInputs
    parameters: SimilarityParameters
    def __init__(self, inputs: _Optional[_Union[SimilarityInputs, _Mapping]] = ..., parameters: _Optional[_Union[SimilarityParameters, _Mapping]] = ...) -> None: ...

class SimilarityInputs(_message.Message):
    __slots__ = ("source_sentence", "sentences")
    SOURCE_SENTENCE_FIELD_NUMBER: _ClassVar[int]
    SENTENCES_FIELD_NUMBER: _ClassVar[int]
    source_sentence: str
    sentences: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, source_sentence: _Optional[str] = ..., sentences: _Optional[_Iterable[str]] = ...) -> None: ...

class SimilarityParameters(_message.Message):
    __slots__ = ("truncate", "truncation_direction", "prompt_name")
    TRUNCATE_FIELD_NUMBER: _ClassVar[int]
    TRUNCATION_DIRECTION_FIELD_NUMBER: _ClassVar[int]
    PROMPT_NAME_FIELD_NUMBER: _ClassVar[int]
    truncate: bool
    truncation_direction: str
    prompt_name: str
    def __init__(self, truncate: _Optional[bool] = ..., truncation_direction: _Optional[str] = ..., prompt_name: _Optional[str] = ...) -> None: ...

class SimilarityResponse(_message.Message):
    __slots__ = ("similarities",)
    SIMILARITIES_FIELD_NUMBER: _ClassVar[int]
    similarities: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, similarities: _Optional[_Iterable[float]] = ...) -> None: ...
