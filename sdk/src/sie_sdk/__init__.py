"""A client of SIE: embeddings, reranking and extraction.

    from sie_sdk import SIEClient

    client = SIEClient("http://localhost:8080")
    result = client.encode("BAAI/bge-m3", "Hello world")
    result["dense"].shape        # (1024,)

`SIEAsyncClient` does the same with asyncio. Errors are in `sie_sdk.errors`, the forms of items
and results in `sie_sdk.types`, adapters in `sie_sdk.langchain` and `sie_sdk.llama_index`.
"""

from sie_sdk._version import VERSION
from sie_sdk.async_client import SIEAsyncClient
from sie_sdk.client import SIEClient
from sie_sdk.errors import (
    ClientClosedError,
    LoraLoadingError,
    ModelLoadFailedError,
    ModelLoadingError,
    PoolError,
    ProvisioningError,
    RequestError,
    ResourceExhaustedError,
    ServerError,
    SIEConnectionError,
    SIEError,
)
from sie_sdk.types import Item

__version__ = VERSION

__all__ = [
    "ClientClosedError",
    "Item",
    "LoraLoadingError",
    "ModelLoadFailedError",
    "ModelLoadingError",
    "PoolError",
    "ProvisioningError",
    "RequestError",
    "ResourceExhaustedError",
    "SIEAsyncClient",
    "SIEClient",
    "SIEConnectionError",
    "SIEError",
    "ServerError",
    "__version__",
]
