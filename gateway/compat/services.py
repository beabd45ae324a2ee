"""The services of this package, for `Api`."""

from collections.abc import Sequence

from google.protobuf.descriptor import ServiceDescriptor

from gateway.cluster import Cluster
from gateway.compat.default_models import DefaultModels
from gateway.compat.openai import OpenAIService
from gateway.compat.rerank import RerankService
from gateway.compat.tei import TeiService
from gateway.compat.tei_text import TeiTextService
from gateway.inference import InferenceService
from sie.compat.v1 import (
    openai_service_pb2,
    rerank_service_pb2,
    tei_service_pb2,
    tei_text_service_pb2,
)


def compat_services(
    cluster: Cluster,
    verbs: InferenceService,
    default_models: Sequence[str],
    max_items: int,
    version: str,
) -> list[tuple[ServiceDescriptor, object]]:
    """Descriptor and implementation of each."""
    openai = openai_service_pb2.DESCRIPTOR.services_by_name["OpenAIService"]
    rerank = rerank_service_pb2.DESCRIPTOR.services_by_name["RerankService"]
    tei = tei_service_pb2.DESCRIPTOR.services_by_name["TeiService"]
    tei_text = tei_text_service_pb2.DESCRIPTOR.services_by_name["TeiTextService"]
    models = DefaultModels(cluster, default_models)
    return [
        (openai, OpenAIService(verbs)),
        (rerank, RerankService(cluster, verbs, max_items)),
        (tei, TeiService(models, verbs, max_items)),
        (tei_text, TeiTextService(models, verbs, max_items, version)),
    ]
