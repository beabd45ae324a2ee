"""Message classes of the contract, from the descriptors beside this file.

They live in a pool of their own, so that other generated code of the same contract, of whatever
version, can be used in the same process. Vectors are declared as bytes: a packed run of numbers
has the same form on the wire.
"""

import functools
from importlib.resources import files
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor

from sie_sdk._core.rpcs import Rpc


def method_of(rpc: Rpc) -> MethodDescriptor:
    """The method of an rpc."""
    return _pool().FindServiceByName(rpc.service).methods_by_name[rpc.name]


def message_class(full_name: str) -> Any:
    """The class of a message."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(full_name))


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    descriptors = (files(__package__) / "descriptors.binpb").read_bytes()
    for file in descriptor_pb2.FileDescriptorSet.FromString(descriptors).file:
        pool.Add(file)
    return pool
