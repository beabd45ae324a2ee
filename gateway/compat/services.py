"""The services of this package, for `Api`."""

from google.protobuf.descriptor import ServiceDescriptor

from gateway.cluster import Cluster
from gateway.compat.openai import OpenAIService
from gateway.compat.rerank import RerankService
from gateway.compat.tei import TeiService
from gateway.inference import InferenceService
from sie.compat.v1 import openai_service_pb2, rerank_service_pb2, tei_service_pb2


def compat_services(
    cluster: Cluster, verbs: InferenceService, default_model: str, max_items: int, version: str
) -> list[tuple[ServiceDescriptor, object]]:
    """Descriptor and implementation of each."""
    openai = openai_service_pb2.DESCRIPTOR.services_by_name["OpenAIService"]
    rerank = rerank_service_pb2.DESCRIPTOR.services_by_name["RerankService"]
    tei = tei_service_pb2.DESCRIPTOR.services_by_name["TeiService"]
    return [
        (openai, OpenAIService(verbs)),
        (rerank, RerankService(verbs)),
        (tei, TeiService(cluster, verbs, default_model, max_items, version)),
    ]
