"""Calls of sie_sdk's adapters, run by the Python of .venv/clients: `adapters.py NAME URL MODEL`.

Writes a JSON object of what they gave.
"""

import asyncio
import json
import sys

QUERY = "Where did the cat sit?"
TEXTS = ["Interest rates rose again.", "The cat sat on the mat.", "A dog slept in the garden."]


async def langchain(url, model):
    from langchain_core.documents import Document
    from langchain_core.vectorstores import InMemoryVectorStore

    from sie_sdk.langchain import SIEEmbeddings, SIEReranker

    embeddings = SIEEmbeddings(url, model)
    store = InMemoryVectorStore(embeddings)
    store.add_texts(TEXTS)
    documents = [Document(text, metadata={"source": text[0]}) for text in TEXTS]
    reranker = SIEReranker(url, model, top_n=2)
    best = reranker.compress_documents(documents, QUERY)
    also = await reranker.acompress_documents(documents, QUERY)
    assert "relevance_score" not in documents[1].metadata
    return {
        "documents": embeddings.embed_documents(TEXTS),
        "query": embeddings.embed_query(QUERY),
        "async_documents": await embeddings.aembed_documents(TEXTS),
        "async_query": await embeddings.aembed_query(QUERY),
        "found": [each.page_content for each in store.similarity_search(QUERY, k=1)],
        "ranked": [[each.page_content, each.metadata["relevance_score"]] for each in best],
        "async_ranked": [[each.page_content, each.metadata["relevance_score"]] for each in also],
        "sources": [each.metadata["source"] for each in best],
        "none": list(reranker.compress_documents([], QUERY)),
    }


async def llama_index(url, model):
    from llama_index.core import VectorStoreIndex
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

    from sie_sdk.llama_index import SIEEmbedding, SIERerank

    embedding = SIEEmbedding(base_url=url, model_name=model)
    nodes = [TextNode(text=text, id_=str(number)) for number, text in enumerate(TEXTS)]
    index = VectorStoreIndex(nodes, embed_model=embedding)
    found = index.as_retriever(similarity_top_k=1).retrieve(QUERY)
    reranker = SIERerank(base_url=url, model=model, top_n=2)
    scored = [NodeWithScore(node=node) for node in nodes]
    best = reranker.postprocess_nodes(scored, QueryBundle(QUERY))
    also = await reranker.apostprocess_nodes(scored, QueryBundle(QUERY))
    return {
        "documents": embedding.get_text_embedding_batch(TEXTS),
        "query": embedding.get_query_embedding(QUERY),
        "async_documents": await embedding.aget_text_embedding_batch(TEXTS),
        "async_query": await embedding.aget_query_embedding(QUERY),
        "found": [each.node.text for each in found],
        "ranked": [[each.node.text, each.score] for each in best],
        "async_ranked": [[each.node.text, each.score] for each in also],
        "sources": [each.node.text[0] for each in best],
        "none": reranker.postprocess_nodes([], QueryBundle(QUERY)),
    }


if __name__ == "__main__":
    name, url, model = sys.argv[1:]
    print(  # noqa: T201
        json.dumps(
            asyncio.run({"langchain": langchain, "llama_index": llama_index}[name](url, model))
        )
    )
