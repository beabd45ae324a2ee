"""Dead letters at the edge; the config service keeps them."""

import grpc
from google.protobuf.descriptor import ServiceDescriptor

from gateway.forwarding import Forwarder
from sie.operations.v1 import dead_letter_service_pb2


def dead_letter_service(config: grpc.aio.Channel) -> tuple[ServiceDescriptor, object]:
    """The service, answered over a channel to the config service."""
    service = dead_letter_service_pb2.DESCRIPTOR.services_by_name["DeadLetterService"]
    return service, Forwarder(service, config)
