from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DataType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DATA_TYPE_UNSPECIFIED: _ClassVar[DataType]
    DATA_TYPE_FLOAT32: _ClassVar[DataType]
    DATA_TYPE_FLOAT16: _ClassVar[DataType]
    DATA_TYPE_INT8: _ClassVar[DataType]
    DATA_TYPE_UINT8: _ClassVar[DataType]
    DATA_TYPE_BINARY: _ClassVar[DataType]
    DATA_TYPE_UBINARY: _ClassVar[DataType]

class OutputType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTPUT_TYPE_UNSPECIFIED: _ClassVar[OutputType]
    OUTPUT_TYPE_DENSE: _ClassVar[OutputType]
    OUTPUT_TYPE_SPARSE: _ClassVar[OutputType]
    OUTPUT_TYPE_MULTIVECTOR: _ClassVar[OutputType]
DATA_TYPE_UNSPECIFIED: DataType
DATA_TYPE_FLOAT32: DataType
DATA_TYPE_FLOAT16: DataType
DATA_TYPE_INT8: DataType
DATA_TYPE_UINT8: DataType
DATA_TYPE_BINARY: DataType
DATA_TYPE_UBINARY: DataType
OUTPUT_TYPE_UNSPECIFIED: OutputType
OUTPUT_TYPE_DENSE: OutputType
OUTPUT_TYPE_SPARSE: OutputType
OUTPUT_TYPE_MULTIVECTOR: OutputType

class DenseVector(_message.Message):
    __slots__ = ("dims", "dtype", "values", "data", "range_min", "range_max")
    DIMS_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    RANGE_MIN_FIELD_NUMBER: _ClassVar[int]
    RANGE_MAX_FIELD_NUMBER: _ClassVar[int]
    dims: int
    dtype: DataType
    values: _containers.RepeatedScalarFieldContainer[float]
    data: bytes
    range_min: float
    range_max: float
    def __init__(self, dims: _Optional[int] = ..., dtype: _Optional[_Union[DataType, str]] = ..., values: _Optional[_Iterable[float]] = ..., data: _Optional[bytes] = ..., range_min: _Optional[float] = ..., range_max: _Optional[float] = ...) -> None: ...

class SparseVector(_message.Message):
    __slots__ = ("dims", "dtype", "indices", "values", "data")
    DIMS_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    INDICES_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    dims: int
    dtype: DataType
    indices: _containers.RepeatedScalarFieldContainer[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    data: bytes
    def __init__(self, dims: _Optional[int] = ..., dtype: _Optional[_Union[DataType, str]] = ..., indices: _Optional[_Iterable[int]] = ..., values: _Optional[_Iterable[float]] = ..., data: _Optional[bytes] = ...) -> None: ...

class MultiVector(_message.Message):
    __slots__ = ("num_tokens", "token_dims", "dtype", "values", "data")
    NUM_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOKEN_DIMS_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    num_tokens: int
    token_dims: int
    dtype: DataType
    values: _containers.RepeatedScalarFieldContainer[float]
    data: bytes
    def __init__(self, num_tokens: _Optional[int] = ..., token_dims: _Optional[int] = ..., dtype: _Optional[_Union[DataType, str]] = ..., values: _Optional[_Iterable[float]] = ..., data: _Optional[bytes] = ...) -> None: ...
