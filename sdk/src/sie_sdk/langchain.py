"""LangChain: embeddings and a reranker.

    from sie_sdk.langchain import SIEEmbeddings, SIEReranker

    embeddings = SIEEmbeddings("http://localhost:8080", "BAAI/bge-m3")
    reranker = SIEReranker("http://localhost:8080", "BAAI/bge-reranker-v2-m3", top_n=5)

Needs langchain-core: `pip install 'sie-sdk[langchain]'`.
"""

from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.embeddings import Embeddings
from pydantic import ConfigDict, Field, PrivateAttr

from sie_sdk._adapters import Connection, ranked, vectors
from sie_sdk.types import ScoreResult


class SIEEmbeddings(Embeddings):
    """Dense embeddings of a model.

    Args:
        base_url: of the gateway.
        model: its id.
        client_options: for the clients, such as `api_key` and `gpu`.
        encode_options: for each call, such as `instruction` and `dimensions`.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        client_options: dict[str, Any] | None = None,
        encode_options: dict[str, Any] | None = None,
    ) -> None:
        self._connection = Connection(base_url, client_options or {})
        self._model = model
        self._options = encode_options or {}

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of texts, in their order."""
        client = self._connection.client
        return vectors(client.encode(self._model, texts, **{"is_query": False, **self._options}))

    def embed_query(self, text: str) -> list[float]:
        """The vector of a query."""
        client = self._connection.client
        encoded = client.encode(self._model, [text], **{"is_query": True, **self._options})
        return vectors(encoded)[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """As `embed_documents`."""
        client = self._connection.async_client
        options = {"is_query": False, **self._options}
        return vectors(await client.encode(self._model, texts, **options))

    async def aembed_query(self, text: str) -> list[float]:
        """As `embed_query`."""
        client = self._connection.async_client
        options = {"is_query": True, **self._options}
        return vectors(await client.encode(self._model, [text], **options))[0]


class SIEReranker(BaseDocumentCompressor):
    """Ranks documents by their relevance, and keeps the best.

    The score is in the metadata of each, as `relevance_score`.
    """

    base_url: str
    model: str
    # How many to keep; None: all.
    top_n: int | None = 3
    client_options: dict[str, Any] = Field(default_factory=dict)
    score_options: dict[str, Any] = Field(default_factory=dict)

    model_config = ConfigDict(extra="forbid")
    _connection: Connection = PrivateAttr()

    def __init__(self, base_url: str, model: str, **fields: Any) -> None:
        super().__init__(base_url=base_url, model=model, **fields)
        self._connection = Connection(base_url, self.client_options)

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks = None
    ) -> Sequence[Document]:
        """The best documents, most relevant first."""
        if not documents:
            return []
        texts = [document.page_content for document in documents]
        result = self._connection.client.score(self.model, query, texts, **self.score_options)
        return self._best(documents, result)

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks = None
    ) -> Sequence[Document]:
        """As `compress_documents`."""
        if not documents:
            return []
        texts = [document.page_content for document in documents]
        client = self._connection.async_client
        return self._best(
            documents, await client.score(self.model, query, texts, **self.score_options)
        )

    def _best(self, documents: Sequence[Document], result: ScoreResult) -> list[Document]:
        return [
            documents[index].model_copy(
                update={"metadata": {**documents[index].metadata, "relevance_score": score}}
            )
            for index, score in ranked(result, self.top_n)
        ]
