"""LlamaIndex: embeddings and a reranker.

    from sie_sdk.llama_index import SIEEmbedding, SIERerank

    embedding = SIEEmbedding(base_url="http://localhost:8080", model_name="BAAI/bge-m3")
    reranker = SIERerank(base_url="http://localhost:8080", model="BAAI/bge-reranker-v2-m3", top_n=5)

Needs llama-index-core: `pip install 'sie-sdk[llama-index]'`.
"""

from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle

from sie_sdk._adapters import Connection, ranked, vectors
from sie_sdk.types import ScoreResult


class SIEEmbedding(BaseEmbedding):
    """Dense embeddings of the model `model_name`."""

    base_url: str
    # For the clients, such as `api_key` and `gpu`.
    client_options: dict[str, Any] = Field(default_factory=dict)
    # For each call, such as `instruction` and `dimensions`.
    encode_options: dict[str, Any] = Field(default_factory=dict)

    _connection: Connection = PrivateAttr()

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        self._connection = Connection(self.base_url, self.client_options)

    def _embed(self, texts: list[str], *, is_query: bool) -> list[list[float]]:
        options = {"is_query": is_query, **self.encode_options}
        return vectors(self._connection.client.encode(self.model_name, texts, **options))

    async def _aembed(self, texts: list[str], *, is_query: bool) -> list[list[float]]:
        client = self._connection.async_client
        options = {"is_query": is_query, **self.encode_options}
        return vectors(await client.encode(self.model_name, texts, **options))

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._embed([query], is_query=True)[0]

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._embed([text], is_query=False)[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._embed(texts, is_query=False)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return (await self._aembed([query], is_query=True))[0]

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return (await self._aembed([text], is_query=False))[0]

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await self._aembed(texts, is_query=False)


class SIERerank(BaseNodePostprocessor):
    """Ranks nodes by their relevance to the query, and keeps the best."""

    base_url: str
    model: str
    # How many to keep; None: all.
    top_n: int | None = 3
    client_options: dict[str, Any] = Field(default_factory=dict)
    score_options: dict[str, Any] = Field(default_factory=dict)

    _connection: Connection = PrivateAttr()

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        self._connection = Connection(self.base_url, self.client_options)

    @classmethod
    def class_name(cls) -> str:
        return "SIERerank"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if not nodes or query_bundle is None:
            return nodes
        result = self._connection.client.score(
            self.model, query_bundle.query_str, _texts(nodes), **self.score_options
        )
        return self._best(nodes, result)

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if not nodes or query_bundle is None:
            return nodes
        result = await self._connection.async_client.score(
            self.model, query_bundle.query_str, _texts(nodes), **self.score_options
        )
        return self._best(nodes, result)

    def _best(self, nodes: list[NodeWithScore], result: ScoreResult) -> list[NodeWithScore]:
        return [
            NodeWithScore(node=nodes[index].node, score=score)
            for index, score in ranked(result, self.top_n)
        ]


def _texts(nodes: list[NodeWithScore]) -> list[str]:
    return [node.node.get_content(metadata_mode=MetadataMode.EMBED) for node in nodes]
